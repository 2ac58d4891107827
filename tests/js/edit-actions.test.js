import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEdits } from "../../static/js/actions/edits.js";
import { createJobs } from "../../static/js/actions/jobs.js";
import { createHistory } from "../../static/js/actions/start.js";
import { NEW_EDIT } from "../../static/js/state/initial.js";
import { isProposed, offered } from "../../static/js/state/results.js";
import { restore, snapshot } from "../../static/js/state/snapshot.js";
import { ApiError } from "../../static/js/transport/api.js";
import { clock, streams } from "./browser.js";
import { stackOf } from "./documents.js";
import { contextOf, settle } from "./page.js";

const DEFAULTS = { layer_num: 4, steps: 50, cfg_scale: 4 };
const SEEDED = { config: { defaults: DEFAULTS, capabilities: { edit: ["steps", "cfg_scale", "seed"], decompose: [] } } };
const EVENTS = (id) => `/api/jobs/${id}/events`;
const RED = [200, 0, 0, 255];

/** A page with a server that takes edits, called "1", "2", … in the order in which they come. */
function page({ pixels = {}, state = SEEDED, refuse = null, known = true } = {}) {
  const asked = [];
  const api = {
    editLayer: async (body) => {
      if (refuse) throw refuse;
      asked.push(body);
      return { id: String(asked.length), kind: "edit", status: "queued", position: asked.length };
    },
    job: async (id) => {
      if (!known) throw new ApiError("There is no such job.", { status: 404, code: "not_found" });
      return { id, status: "processing", step: 1, total: 2 };
    },
  };
  const context = contextOf({ api, state, pixels: { "/api/images/new.png": RED, "/api/images/newer.png": [0, 0, 200, 255], ...pixels } });
  const jobs = createJobs(context);
  const edits = createEdits(context, jobs, createHistory(context));
  jobs.onEnd({ edit: edits.finish });
  const { store } = context;
  const draft = (patch) => edits.actions.setEdit("a", { ...NEW_EDIT, instruction: "make it blue", ...patch });
  const edit = () => store.state.edits.a;
  const layer = () => store.state.doc.layers[0];
  const end = (id, status, more = {}) => {
    streams.get(EVENTS(id)).tell(status, { id, status, ...more });
    return settle();
  };
  const succeed = (id, image, seed = 1) =>
    end(id, "succeeded", { result: { image: `/api/images/${image}.png`, seed, engine: "x", generation_time: 1 } });
  /** Let the layer be edited: the run, called `id`, makes that picture. */
  const make = async (id, instruction, image, more = {}) => {
    draft({ ...edit(), instruction, ...more });
    await edits.actions.applyEdit("a");
    await succeed(id, image);
  };
  return { ...edits.actions, asked, jobs, store, draft, edit, layer, end, succeed, make };
}

test("variants run with seeds in a row and are numbered as they were asked for", async () => {
  const { applyEdit, draft, edit, layer, asked, succeed, store } = page({ pixels: { "/api/images/third.png": [90, 90, 90, 255] } });
  draft({ variants: 3, seed: 41, locked: true });
  await applyEdit("a");
  assert.deepEqual(
    asked.map(({ seed }) => seed),
    [41, 42, 43],
  );
  assert.deepEqual(Object.keys(store.state.jobs), ["1", "2", "3"]);
  assert.equal(edit().chosen, "1");
  await succeed("3", "third", 43);
  assert.equal(layer().versions.length, 1);
  await succeed("1", "new", 41);
  await succeed("2", "newer", 42);
  assert.deepEqual(
    layer().versions.map(({ seed }) => seed),
    [null, 41, 42, 43],
  );
  assert.deepEqual([edit().chosen, edit().waiting, store.state.jobs], [1, [1, 2, 3], {}]);
});

test("a locked seed gives the same again, which is said; one that is not locked is drawn again", async () => {
  const { applyEdit, draft, edit, layer, asked, succeed, store } = page();
  draft({ seed: 41, locked: true });
  await applyEdit("a");
  await succeed("1", "new", 41);
  await applyEdit("a");
  assert.equal(asked[1].seed, 41);
  await succeed("2", "new", 41);
  assert.deepEqual([layer().versions.length, edit().chosen], [2, 1]);
  assert.match(store.state.notice.text, /the same as v2/);
  draft({ ...edit(), locked: false });
  await applyEdit("a");
  assert.notEqual(asked[2].seed, 41);
});

test("an engine that makes no use of a seed runs no variants", async () => {
  const { applyEdit, draft, asked } = page({ state: { config: { defaults: DEFAULTS, capabilities: { edit: [], decompose: [] } } } });
  draft({ variants: 4 });
  await applyEdit("a");
  assert.equal(asked.length, 1);
  assert.deepEqual(Object.keys(asked[0]).sort(), ["image", "instruction", "seed", "shape"]);
});

test("a result in which nothing has changed is a try, and no version", async () => {
  const { applyEdit, draft, edit, layer, succeed } = page({ pixels: { "/api/images/same.png": [9, 9, 9, 255] } });
  draft();
  await applyEdit("a");
  await succeed("1", "same");
  assert.deepEqual(
    edit().tries.map(({ status, instruction }) => [status, instruction]),
    [["unchanged", "make it blue"]],
  );
  assert.deepEqual([edit().chosen, layer().versions.length], ["1", 1]);
});

test("what failed stays with its reason until it is asked again or taken away, and comes back with undo", async () => {
  const { applyEdit, discardEdit, draft, edit, end, store } = page();
  draft();
  await applyEdit("a");
  await end("1", "failed", { error: { message: "It does not understand.", code: "unknown_instruction" } });
  assert.deepEqual(
    edit().tries.map(({ status, reason }) => [status, reason]),
    [["failed", "It does not understand."]],
  );
  discardEdit("a");
  assert.deepEqual(edit().tries, []);
  store.state.notice.action.run();
  assert.deepEqual([edit().tries.length, edit().chosen], [1, "1"]);
  await applyEdit("a");
  assert.deepEqual(edit().tries, []);
});

test("an edit that never came to the server is a try of this visit", async () => {
  const { applyEdit, draft, edit } = page({ refuse: new ApiError("The server cannot be reached.") });
  draft();
  await applyEdit("a");
  assert.deepEqual(
    edit().tries.map(({ code }) => code),
    ["unreachable"],
  );
  assert.equal(edit().sending, false);
});

test("a second press while it runs is a slip; other words are another run", async () => {
  const { applyEdit, draft, edit, asked } = page();
  draft();
  await applyEdit("a");
  await applyEdit("a");
  assert.equal(asked.length, 1);
  draft({ ...edit(), instruction: "make it red" });
  await applyEdit("a");
  assert.equal(asked.length, 2);
});

test("a canceled edit says so where it ran", async () => {
  const { applyEdit, draft, edit, end } = page();
  draft();
  await applyEdit("a");
  await end("1", "canceled");
  assert.deepEqual(
    edit().tries.map(({ status }) => status),
    ["canceled"],
  );
});

test("a version replaces its layer, and undo brings back what was there", async () => {
  const { applyEdit, acceptEdit, openEdit, draft, edit, layer, store, succeed } = page();
  openEdit("a");
  draft();
  await applyEdit("a");
  await succeed("1", "new");
  acceptEdit("a");
  assert.deepEqual([layer().current, layer().image, store.state.editing], [1, "/api/images/new.png", null]);
  assert.deepEqual([edit().waiting, edit().instruction], [[], ""]);
  store.state.notice.action.run();
  assert.equal(layer().current, 0);
});

test("a job is found again when its stream is gone, as after a reload and on a phone that wakes up", async () => {
  const { applyEdit, draft, jobs, layer, store, succeed } = page();
  draft();
  await applyEdit("a");
  const first = streams.get(EVENTS("1"));
  jobs.wake();
  assert.notEqual(streams.get(EVENTS("1")), first);
  assert.equal(first.readyState, 2);
  assert.equal(store.state.jobs["1"].purpose.instruction, "make it blue");
  await succeed("1", "new");
  assert.equal(layer().versions.length, 2);
});

test("a stream that does not get through gives way to asking", async () => {
  const { applyEdit, draft, store } = page();
  draft();
  await applyEdit("a");
  const stream = streams.get(EVENTS("1"));
  for (let breaks = 0; breaks < 3; breaks += 1) stream.dispatchEvent(new Event("error"));
  await settle();
  assert.equal(stream.readyState, 2);
  assert.equal(store.state.jobs["1"].job.status, "processing");
  clock.tick(800);
});

test("a job that the server does not know has failed", async () => {
  const { applyEdit, draft, edit } = page({ known: false });
  draft();
  await applyEdit("a");
  const stream = streams.get(EVENTS("1"));
  for (let breaks = 0; breaks < 3; breaks += 1) stream.dispatchEvent(new Event("error"));
  await settle();
  assert.deepEqual(
    edit().tries.map(({ code }) => code),
    ["lost"],
  );
});

test("another try is another version, and a discarded one comes back with undo", async () => {
  const { chooseEdit, discardEdit, make, edit, layer, store } = page();
  await make("1", "make it darker", "new");
  await make("2", "make it much darker", "newer");
  assert.deepEqual([edit().chosen, edit().waiting], [2, [1, 2]]);
  discardEdit("a");
  // The other one still waits for a decision.
  assert.deepEqual([offered(layer()), edit().chosen, edit().waiting], [[0, 1], 1, [1]]);
  store.state.notice.action.run();
  assert.deepEqual(offered(layer()), [0, 1, 2]);
  // The layer as it is takes no words away, and is nothing to decide on.
  chooseEdit("a", 0);
  assert.deepEqual([edit().instruction, isProposed(store.state, layer())], ["make it much darker", false]);
  chooseEdit("a", 1);
  assert.equal(edit().instruction, "make it darker");
});

test("an earlier version takes the place of a later one, and undo brings that back", async () => {
  const { acceptEdit, chooseEdit, discardEdit, make, layer, store } = page();
  await make("1", "make it blue", "new");
  acceptEdit("a");
  await make("2", "make it darker", "newer");
  acceptEdit("a");
  chooseEdit("a", 0);
  discardEdit("a");
  assert.deepEqual([layer().current, offered(layer())], [2, [0, 1, 2]]);
  chooseEdit("a", 1);
  acceptEdit("a");
  assert.deepEqual([layer().current, store.state.editing], [1, null]);
  store.undo();
  assert.equal(layer().current, 2);
});

test("a version becomes a layer above its own, which stays as it is", async () => {
  const { addEdit, openEdit, make, layer, store } = page();
  openEdit("a");
  await make("1", "make it blue", "new");
  addEdit("a");
  const [below, added, above] = store.state.doc.layers;
  assert.deepEqual([below.id, above.id], ["a", "b"]);
  assert.deepEqual([added.image, added.versions.length, added.name], ["/api/images/new.png", 1, "A 2"]);
  assert.deepEqual([layer().current, layer().versions.length], [0, 2]);
  assert.deepEqual([store.state.selected, store.state.editing], [added.id, null]);
  store.undo();
  assert.deepEqual(stackOf(store.state.doc), ["a", "b"]);
  assert.deepEqual(offered(layer()), [0, 1]);
});

test("an edit that keeps the shape keeps the coverage; that of a new shape is measured", async () => {
  const { make, layer } = page();
  await make("1", "make it blue", "new", { shape: "keep" });
  await make("2", "make it round", "newer", { shape: "new" });
  assert.deepEqual(
    layer().versions.map(({ coverage }) => coverage),
    [0.5, 0.5, 1],
  );
});

test("a draft is kept for each layer, through a reload", () => {
  const { setEdit, store } = page();
  setEdit("a", { instruction: "about the ground" });
  setEdit("b", { instruction: "about the top" });
  const { patch } = restore(JSON.parse(JSON.stringify(snapshot(store.state))));
  assert.deepEqual([patch.edits?.a.instruction, patch.edits?.b.instruction], ["about the ground", "about the top"]);
});

test("a reload in the middle finds all variants again", async () => {
  const before = page();
  before.draft({ variants: 3, seed: 41, locked: true });
  await before.applyEdit("a");
  const { timeline, patch } = restore(JSON.parse(JSON.stringify(snapshot(before.store.state))));
  const pixels = { "/api/images/third.png": [90, 90, 90, 255] };
  const { jobs, layer, succeed, store } = page({ pixels, state: { ...SEEDED, ...timeline, ...patch } });
  assert.deepEqual(Object.keys(store.state.jobs), ["1", "2", "3"]);
  jobs.wake();
  for (const [index, image] of ["new", "newer", "third"].entries()) await succeed(String(index + 1), image, 41 + index);
  assert.deepEqual(
    layer().versions.map(({ seed }) => seed),
    [null, 41, 42, 43],
  );
});
