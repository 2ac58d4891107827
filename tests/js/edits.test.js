import assert from "node:assert/strict";
import { test } from "node:test";
import { shareOf } from "../../static/js/images/difference.js";
import { discardVersion, layerFrom, remove, useVersion } from "../../static/js/state/commands.js";
import { findLayer, patchLayer } from "../../static/js/state/doc.js";
import { initialState, LIMITS, NEW_EDIT } from "../../static/js/state/initial.js";
import { asksFor, badgeOf, chosenOf, editOf, instructionsOf, isProposed, offered, seedsFor } from "../../static/js/state/results.js";
import { restore, snapshot } from "../../static/js/state/snapshot.js";
import { addVersion, record, undo } from "../../static/js/state/store.js";
import { docOf, timelineOf } from "./documents.js";

const version = (instruction, at = "2026-01-01T00:00:00Z") => ({
  image: `/api/images/${instruction}.png`,
  coverage: 0.2,
  instruction,
  seed: 3,
  shape: /** @type {const} */ ("keep"),
  engine: "classical",
  at,
  from: "/api/images/a.png",
  seconds: 1,
});
const TRY = {
  id: "t",
  status: /** @type {const} */ ("failed"),
  reason: "no",
  code: "x",
  instruction: "add a hat",
  shape: /** @type {const} */ ("keep"),
  seed: 1,
};
const purpose = {
  kind: /** @type {const} */ ("edit"),
  layerId: "a",
  before: "/api/images/a.png",
  instruction: "make it blue",
  shape: /** @type {const} */ ("keep"),
  seed: 1,
};

/** A document "a", "b" whose layer "a" has the versions "blue" and "red" besides its first. */
const versions = ["blue", "red"].reduce((timeline, name) => addVersion(timeline, "a", version(name)).timeline, timelineOf(docOf("a", "b")));
const layerOf = (timeline) => /** @type {any} */ (findLayer(timeline.doc, "a"));
const stateOf = (timeline, edit = {}, more = {}) => ({ ...initialState(), ...timeline, edits: { a: { ...NEW_EDIT, ...edit } }, ...more });

test("the model is shown the surroundings where there are some, and the engine takes them, unless somebody chose otherwise", () => {
  const config = /** @type {any} */ ({ capabilities: { edit: ["context"] } });
  const contextOf = (state) => editOf(state, "a").context;
  const state = stateOf(versions, {}, { config });
  assert.equal(contextOf(state), true);
  assert.equal(contextOf(stateOf(versions)), false, "an engine that looks at the layer alone");
  assert.equal(contextOf(stateOf(versions, { context: false }, { config })), false);
  const opaque = { ...versions, doc: patchLayer(versions.doc, "a", { coverage: 1 }) };
  assert.equal(contextOf(stateOf(opaque, {}, { config })), false, "what is behind it is not seen");
  assert.equal(contextOf(stateOf(opaque, { context: true }, { config })), true);
  const alone = { ...versions, doc: patchLayer(versions.doc, "b", { visible: false }) };
  assert.equal(contextOf(stateOf(alone, { context: true }, { config })), false, "there is nothing around it");
});

test("a discarded version is offered no more, and comes back with undo", () => {
  const without = record(versions, discardVersion(layerOf(versions), 1));
  assert.deepEqual(offered(layerOf(without)), [0, 2]);
  assert.equal(layerOf(without).versions.length, 3);
  assert.deepEqual(offered(layerOf(undo(without))), [0, 1, 2]);
  const { timeline, index } = addVersion(without, "a", version("green"));
  assert.equal(index, 3);
  assert.deepEqual(offered(layerOf(timeline)), [0, 2, 3]);
  assert.deepEqual(offered(layerOf(undo(timeline))), [0, 1, 2, 3]);
});

test("the first version and the one in use are not discarded", () => {
  const used = record(versions, useVersion(layerOf(versions), 1));
  for (const index of [-1, 0, 1, 9]) assert.equal(record(used, discardVersion(layerOf(used), index)), used);
  const gone = record(used, remove([layerOf(used)]));
  assert.equal(record(gone, discardVersion(layerOf(used), 2)), gone);
});

test("a version becomes a layer of its own where the layer is, with a past of its own", () => {
  const layer = {
    ...layerOf(versions),
    x: 5,
    scale: 2,
    flipX: true,
    opacity: 0.5,
    blend: "screen",
    visible: false,
    current: 1,
    discarded: [2],
  };
  const made = layerFrom(layer, 1, "n");
  assert.deepEqual(
    [made.id, made.x, made.scale, made.flipX, made.opacity, made.blend, made.visible],
    ["n", 5, 2, true, 0.5, "screen", true],
  );
  assert.deepEqual([made.image, made.current, made.versions.length, made.discarded], ["/api/images/blue.png", 0, 1, []]);
});

test("what is chosen is a run, a try or a version, and the layer as it is when that is gone", () => {
  const layer = layerOf(versions);
  const tracked = /** @type {any} */ ({ job: { id: "j" }, purpose });
  const of = (chosen, more) => chosenOf(stateOf(versions, { chosen, tries: [TRY] }, more), layer);
  assert.equal(of("j", { jobs: { j: tracked } }).run, tracked);
  assert.equal(of("t").failed, TRY);
  assert.deepEqual(of(2), { index: 2, run: null, failed: null });
  for (const gone of [null, "nobody", 9]) assert.deepEqual(of(gone), { index: 0, run: null, failed: null });
  assert.ok(isProposed(stateOf(versions, { chosen: 2 }), layer));
  for (const chosen of [null, 0, "j", "t"])
    assert.ok(!isProposed(stateOf(versions, { chosen, tries: [TRY] }, { jobs: { j: tracked } }), layer));
});

test("the row says what runs, then what waits, then what failed", () => {
  const layer = layerOf(versions);
  const badge = (edit, more) => badgeOf(stateOf(versions, edit, more), layer);
  const jobs = { j: /** @type {any} */ ({ job: { id: "j" }, purpose }) };
  assert.equal(badge({}), null);
  assert.equal(badge({ sending: true }), "running");
  assert.equal(badge({ waiting: [2] }, { jobs }), "running");
  assert.equal(badge({ waiting: [2], chosen: "t", tries: [TRY] }), "ready");
  assert.equal(badge({ waiting: [0, 9] }), null);
  assert.equal(badge({ chosen: "t", tries: [TRY] }), "failed");
  assert.equal(badge({ chosen: "t", tries: [{ ...TRY, status: "canceled" }] }), null);
  assert.equal(badgeOf(stateOf(versions, {}, { jobs }), versions.doc.layers[1]), null);
});

test("variants have seeds in a row, from the locked one or a drawn one", () => {
  const edit = { ...NEW_EDIT, variants: 3 };
  assert.deepEqual(seedsFor({ ...edit, seed: 7, locked: true }, 100), [7, 8, 9]);
  assert.deepEqual(seedsFor({ ...edit, seed: 7, locked: false }, 100), [100, 101, 102]);
  assert.deepEqual(seedsFor({ ...edit, seed: null, locked: true }, 100), [100, 101, 102]);
  assert.equal(seedsFor({ ...edit, seed: LIMITS.maxSeed, locked: true }, 0).at(-1), LIMITS.maxSeed);
  assert.ok(seedsFor({ ...edit, seed: LIMITS.maxSeed, locked: true }, 0).every(Number.isSafeInteger));
});

test("earlier instructions come latest first, each once, from layers of the past, too", () => {
  let timeline = addVersion(versions, "b", version("green", "2026-02-01T00:00:00Z")).timeline;
  timeline = addVersion(timeline, "a", version("blue", "2026-03-01T00:00:00Z")).timeline;
  timeline = record(timeline, remove([/** @type {any} */ (findLayer(timeline.doc, "b"))]));
  assert.deepEqual(instructionsOf(stateOf(timeline, { tries: [TRY, { ...TRY, instruction: "red" }] })), [
    "blue",
    "green",
    "red",
    "add a hat",
  ]);
});

test("a draft asks for what an entry did when words and shape are the same", () => {
  const draft = { ...NEW_EDIT, instruction: " add a hat ", shape: /** @type {const} */ ("keep") };
  assert.ok(asksFor(draft, TRY));
  assert.ok(!asksFor({ ...draft, shape: "new" }, TRY));
  const region = [{ kind: /** @type {const} */ ("line"), takesAway: false, places: [{ x: 1, y: 2 }] }];
  assert.ok(!asksFor({ ...draft, region }, TRY));
  assert.ok(asksFor({ ...draft, region }, { ...TRY, region: [...region] }));
  assert.ok(asksFor({ ...draft, instruction: "" }, { instruction: "", shape: null }));
});

test("an edit survives a reload with its tries and what waits, but for what was being sent", () => {
  const state = stateOf(record(versions, discardVersion(layerOf(versions), 1)), {
    tries: [TRY],
    waiting: [2],
    chosen: 2,
    sending: true,
    seed: 7,
    locked: true,
  });
  const { timeline, patch } = restore(JSON.parse(JSON.stringify(snapshot(state))));
  assert.deepEqual(patch.edits?.a, { ...state.edits.a, sending: false });
  assert.deepEqual(offered(layerOf(timeline)), [0, 2]);
});

test("the changed share counts visible pixels, colors by their alpha", () => {
  const pixels = (...values) => new Uint8ClampedArray(values.flat());
  const [clear, red, blue, faint] = [
    [0, 0, 0, 0],
    [255, 0, 0, 255],
    [0, 0, 255, 255],
    [255, 0, 0, 1],
  ];
  assert.equal(shareOf(pixels(clear, red, red, red), pixels(clear, red, red, blue)), 1 / 3);
  assert.equal(shareOf(pixels(clear, red), pixels(red, red)), 1 / 2);
  assert.equal(shareOf(pixels(faint), pixels([0, 0, 255, 1])), 0);
  assert.equal(shareOf(pixels(red), pixels([253, 2, 0, 255])), 0);
  assert.equal(shareOf(pixels(clear), pixels(clear)), 0);
});
