import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSaving } from "../../static/js/actions/saving.js";
import { rename } from "../../static/js/state/commands.js";
import { snapshot } from "../../static/js/state/snapshot.js";
import { ApiError } from "../../static/js/transport/api.js";
import { clock, storedKeys } from "./browser.js";
import { contextOf, Kept, settle } from "./page.js";

const unsaved = () => storedKeys().filter((key) => key.startsWith("llm-dit.unsaved"));

/** A project that the server has as the page shows it. */
function opened() {
  const kept = new Kept();
  const context = contextOf({ api: { projects: { write: kept.write.bind(kept), read: kept.read.bind(kept), writeLast: () => {} } } });
  const { store } = context;
  const saving = createSaving(context);
  kept.document = JSON.parse(JSON.stringify(snapshot(store.state)));
  saving.settle();
  const call = (name, id = "a") =>
    store.run(
      rename(
        store.state.doc.layers.find((layer) => layer.id === id),
        name,
      ),
    );
  const named = () => kept.document.table?.map(({ name }) => name);
  return { kept, store, saving, call, named };
}

const pass = (ms) => {
  clock.tick(ms);
  return settle();
};

test("a change is kept here at once and on the server a moment later", async () => {
  const { store, call, kept, named } = opened();
  call("First");
  assert.equal(store.state.saving, "unsaved");
  await pass(150);
  assert.equal(unsaved().length, 1);
  assert.equal(kept.writes, 0);
  await pass(650);
  assert.equal(store.state.saving, "saved");
  assert.deepEqual([kept.writes, named().includes("First"), store.state.project.version], [1, true, 2]);
  assert.deepEqual(unsaved(), []);
});

test("what the server has is not kept as unsaved", async () => {
  const { store, call } = opened();
  call("First");
  await pass(750);
  call("Second");
  // The save that the first change set off comes before the second one would be kept in this browser.
  await pass(60);
  assert.equal(store.state.saving, "saved");
  await pass(2000);
  assert.deepEqual(unsaved(), []);
});

test("a server that has no room for a project says so, once, and gets it later", async () => {
  const { store, call, kept } = opened();
  kept.fault = () => {
    throw new ApiError("There is no room for it: delete a project.", { status: 409, code: "quota_reached" });
  };
  call("Too much");
  await pass(800);
  assert.equal(store.state.notice.text, "There is no room for it: delete a project.");
  assert.deepEqual([store.state.saving, store.state.conflict], ["failed", false]);
  store.update({ notice: null });
  await pass(5000);
  assert.equal(store.state.notice, null);
  kept.fault = null;
  await pass(5000);
  assert.equal(store.state.saving, "saved");
});

test("what was done without a server is sent when it is back", async () => {
  const { store, call, kept, named } = opened();
  kept.fault = () => {
    throw new ApiError("The server cannot be reached.");
  };
  call("Done offline");
  await pass(800);
  assert.equal(store.state.saving, "failed");
  assert.equal(unsaved().length, 1);
  kept.fault = null;
  dispatchEvent(new Event("online"));
  await settle();
  assert.equal(store.state.saving, "saved");
  assert.ok(named().includes("Done offline"));
});

test("what somebody else did is asked about, and never written over", async () => {
  const { store, call, kept, named } = opened();
  const theirs = structuredClone(kept.document);
  theirs.table[0].name = "Theirs";
  kept.by(theirs);
  call("Mine");
  await pass(800);
  assert.equal(store.state.conflict, true);
  await pass(60_000);
  assert.ok(named().includes("Theirs"));
  assert.equal(unsaved().length, 1);
});

test("what is typed is saved though somebody else has saved the same layers", async () => {
  const { store, kept } = opened();
  kept.by(kept.document);
  store.update({ edits: { a: { instruction: "make it blue" } } });
  await pass(800);
  await pass(800);
  assert.deepEqual([store.state.saving, store.state.conflict], ["saved", false]);
  assert.equal(kept.document.edits.a.instruction, "make it blue");
});

test("a save whose answer was lost is no conflict", async () => {
  const { store, call, kept, named } = opened();
  kept.loses = true;
  call("It arrived");
  await pass(800);
  assert.equal(store.state.saving, "failed");
  kept.loses = false;
  call("And then");
  await pass(10_000);
  await pass(800);
  assert.deepEqual([store.state.saving, store.state.conflict], ["saved", false]);
  assert.ok(named().includes("And then"));
});

test("a project that another tab has deleted can still be kept, as a copy", async () => {
  const { store, call, kept } = opened();
  kept.fault = () => {
    throw new ApiError("There is no such project.", { status: 404, code: "not_found" });
  };
  call("Orphan");
  await pass(800);
  assert.deepEqual([store.state.saving, store.state.conflict], ["failed", true]);
});
