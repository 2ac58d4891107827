import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createDecompose, createThings, requestFor } from "../../static/js/actions/decompose.js";
import { openPicture } from "../../static/js/state/commands.js";
import { restore, snapshot } from "../../static/js/state/snapshot.js";
import { hasTooMany, nudged, roomFor, thingsOn } from "../../static/js/state/things.js";
import { ApiError } from "../../static/js/transport/api.js";
import { PICTURE } from "./documents.js";
import { contextOf } from "./page.js";

const capabilities = (...decompose) => ({ decompose, edit: [], speeds: [], any_size: true });
const CLASSICAL = { engine: "classical", capabilities: capabilities("seed", "regions") };
const QWEN = { engine: "qwen", capabilities: capabilities("prompt", "seed"), beside: CLASSICAL };
const configOf = (engine) => ({ ...engine, defaults: { layer_num: 4, steps: 50, cfg_scale: 4, speed: "exact" } });

/** Boxes on a picture of 100 × 80 that has not been taken apart, and a server that says `answer`. */
function thingsIn(engine = CLASSICAL, answer = () => ({ id: "job", status: "queued" })) {
  const context = contextOf({ api: { decompose: async () => answer() }, state: { config: configOf(engine) } });
  const { store } = context;
  store.update({ doc: { ...store.state.doc, layers: [], picture: PICTURE } });
  const tryTo = (work) => work();
  const jobs = /** @type {any} */ ({ track: () => {} });
  const boxes = () => thingsOn(store.state.settings, store.state.doc.picture);
  const asked = (picture = PICTURE) => requestFor(store.state, picture).regions;
  const decompose = createDecompose(context, jobs, /** @type {any} */ ({}));
  return { store, boxes, asked, decompose, ...createThings({ ...context, tryTo }) };
}

const corners = (...places) => places.map(([x, y]) => ({ x, y }));

test("a drag is a box in whole pixels of the picture, wherever it began and ended", async () => {
  const { store, boxes, asked, addThing, setThings } = thingsIn();
  store.update({ doc: { ...store.state.doc, width: 50, height: 40 } });
  await addThing(corners([30.2, 70], [5.1, 10]));
  assert.deepEqual(asked(), [{ box: [10, 20, 60, 80], name: "" }]);
  assert.equal(store.state.thing, boxes()[0].id);
  assert.equal(store.state.tool?.kind, "things");
  await addThing(corners([60, 5], [90, 20]));
  assert.equal(boxes().length, 1, "there is nothing of the picture in it");
  setThings([{ ...boxes()[0], name: " Hat " }]);
  assert.deepEqual(asked(), [{ box: [10, 20, 60, 80], name: "Hat" }]);
});

test("there are no more boxes than layers but one", async () => {
  const { store, boxes, addThing } = thingsIn();
  for (let count = 0; count < 5; count += 1) await addThing();
  assert.equal(boxes().length, 3);
  assert.equal(new Set(boxes().map(({ x, y }) => `${x} ${y}`)).size, 3, "none hides another");
  assert.deepEqual([roomFor(store.state), hasTooMany(store.state)], [0, false]);
  store.update({ settings: { ...store.state.settings, layerNum: 3 } });
  assert.deepEqual([roomFor(store.state), hasTooMany(store.state)], [-1, true]);
});

test("boxes belong to their picture, and are kept with the project", async () => {
  const { store, boxes, asked, addThing } = thingsIn();
  await addThing();
  const kept = restore(JSON.parse(JSON.stringify(snapshot(store.state))));
  assert.deepEqual(thingsOn(/** @type {any} */ (kept.patch.settings), PICTURE), boxes());
  assert.deepEqual(asked({ ...PICTURE, image: "/api/images/a.png" }), [], "nor are they of a layer that is split");
  store.run(openPicture({ ...PICTURE, image: "/api/images/q.png" }));
  assert.deepEqual(boxes(), []);
});

test("only an engine that can be told is told, and only its runs are held back", async () => {
  const { store, asked, addThing } = thingsIn();
  await addThing();
  const settings = { ...store.state.settings, layerNum: 1 };
  assert.ok(hasTooMany(/** @type {any} */ ({ ...store.state, settings })));
  store.update({ config: /** @type {any} */ (configOf(QWEN)), settings });
  assert.deepEqual([asked(), hasTooMany(store.state)], [undefined, false]);
  store.update({ settings: { ...store.state.settings, engine: "classical" } });
  assert.deepEqual([asked()?.length, hasTooMany(store.state)], [1, true]);
});

test("arrow keys move a box, with Shift they size it, and it stays in the picture", () => {
  const thing = { id: "t", name: "", x: 1, y: 40, width: 20, height: 39 };
  const go = (x, y, sizes, times) => {
    let now = thing;
    for (let count = 0; count < times; count += 1) now = nudged(now, { x, y }, sizes, { width: 300, height: 80 });
    return [now.x, now.y, now.width, now.height];
  };
  assert.deepEqual(go(1, 0, false, 2), [7, 40, 20, 39]);
  assert.deepEqual(go(-1, 1, false, 9), [0, 41, 20, 39]);
  assert.deepEqual(go(1, 1, true, 2), [1, 40, 26, 40]);
  assert.deepEqual(go(-1, -1, true, 99), [1, 40, 1, 1]);
});

test("what the server has against the boxes is said there, at once or after the run", async () => {
  const refusal = new ApiError("Box 1 contains no thing: draw it around one.", { status: 422, param: "regions" });
  const { store, decompose, addThing } = thingsIn(CLASSICAL, () => {
    throw refusal;
  });
  await addThing();
  await decompose.actions.decompose();
  assert.deepEqual([store.state.thingsError, store.state.sourceError], [refusal.message, null]);
  assert.equal(store.state.tool, null, "the run shows what comes of it");
  await addThing();
  assert.equal(store.state.thingsError, null);
  const failed = { status: "failed", error: { message: "Box 2 has no thing in it.", param: "regions" } };
  decompose.finish(/** @type {any} */ (failed), { picture: PICTURE });
  assert.deepEqual([store.state.thingsError, store.state.sourceError], [failed.error.message, null]);
});
