import assert from "node:assert/strict";
import { test } from "node:test";
import { openPicture, remove, rename, setOpacity, useVersion } from "../../static/js/state/commands.js";
import { EMPTY_DOC, findLayer, PLAIN_GROUP } from "../../static/js/state/doc.js";
import { initialState } from "../../static/js/state/initial.js";
import { NewerError, pack, restore, sameWork, snapshot, unpack } from "../../static/js/state/snapshot.js";
import { addVersion, endGesture, goTo, MAX_STEPS, pairOf, record, redo, Store, statesOf, undo } from "../../static/js/state/store.js";
import { docOf, PICTURE, timelineOf } from "./documents.js";

const doc = docOf("a", "b");
const [a] = doc.layers;
const VERSION = {
  image: "/api/images/v.png",
  coverage: 0.2,
  instruction: "make it blue",
  seed: 3,
  shape: /** @type {const} */ ("keep"),
  engine: "classical",
  at: "2026-01-01T00:00:00Z",
};
const run = (timeline, ...commands) => commands.reduce(record, timeline);

test("undo and redo go back and forth through every document", () => {
  const end = run(timelineOf(doc), rename(a, "one"), rename(a, "two"), remove([a]));
  assert.deepEqual(
    end.past.map((step) => step.title),
    ["command.rename", "command.rename", "command.delete"],
  );
  let back = end;
  for (let i = 0; i < 5; i += 1) back = undo(back);
  assert.equal(back.doc, doc);
  let forth = back;
  for (let i = 0; i < 5; i += 1) forth = redo(forth);
  assert.equal(forth.doc, end.doc);
  assert.equal(run(undo(end), rename(a, "three")).future.length, 0);
});

test("the history is a list of states, and any of them can be gone to", () => {
  const opened = run(timelineOf(EMPTY_DOC), openPicture(PICTURE), rename(a, "no layer yet"));
  const end = run({ ...opened, doc }, rename(a, "one"), rename(a, "two"));
  const back = undo(end);
  const states = statesOf(back);
  // The page without a picture is where a project begins, and no state of it.
  assert.deepEqual(
    states.map(({ step, index }) => [step?.about.name ?? step?.title, index]),
    [
      ["command.picture", 1],
      ["A", 2],
      ["A", 3],
    ],
  );
  for (const { doc: there, index } of states) assert.equal(goTo(back, index).doc, there);
  assert.equal(goTo(end, 1).future.length, 2);
  assert.deepEqual(goTo(goTo(end, 1), 3).doc, end.doc);
  assert.equal(goTo(end, 99).doc, end.doc);
});

test("two marked states are compared, or one with the current one, the older first", () => {
  const end = run(timelineOf(doc), rename(a, "one"), rename(a, "two"));
  const [first, second, third] = statesOf(end).map((state) => state.doc);
  const pairWith = (compared, more = {}) => pairOf({ ...initialState(), ...end, compared, ...more })?.map((state) => state.doc) ?? null;
  assert.deepEqual(pairWith([second, first]), [first, second]);
  assert.deepEqual(pairWith([second]), [second, third]);
  assert.equal(pairWith([third]), null);
  assert.equal(pairWith([]), null);
  assert.equal(pairWith([first], { tool: { kind: "things" } }), null);
});

test("a gesture is one step, the next gesture another", () => {
  const drag = [0.9, 0.8, 0.7].map((opacity) => setOpacity(a, opacity));
  const once = run(timelineOf(doc), ...drag);
  assert.equal(once.past.length, 1);
  const twice = run(endGesture(once), setOpacity(a, 0.2), setOpacity(a, 0.1));
  assert.equal(twice.past.length, 2);
  assert.equal(findLayer(undo(twice).doc, "a")?.opacity, 0.7);
  assert.equal(run(undo(twice), setOpacity(a, 0.5)).past.length, 2);
});

test("what changes nothing is no step, and the past is bounded", () => {
  const start = timelineOf(doc);
  assert.equal(record(start, setOpacity(a, 1)), start);
  let timeline = start;
  for (let i = 0; i < MAX_STEPS + 20; i += 1) timeline = record(timeline, rename(a, `name ${i}`));
  assert.equal(timeline.past.length, MAX_STEPS);
});

test("no undo and no new step loses a version", () => {
  const before = run(timelineOf(doc), rename(a, "one"));
  const { timeline, index } = addVersion(before, "a", VERSION);
  assert.equal(index, 1);
  const used = run(timeline, useVersion(timeline.doc.layers[0], 1));
  assert.equal(findLayer(used.doc, "a")?.image, VERSION.image);
  assert.equal(findLayer(used.doc, "a")?.coverage, 0.2);
  const elsewhere = run(undo(undo(used)), rename(a, "other"));
  assert.equal(findLayer(elsewhere.doc, "a")?.image, a.image);
  assert.equal(findLayer(elsewhere.doc, "a")?.versions.length, 2);
});

test("a version of a layer that was deleted meanwhile is there when the layer comes back", () => {
  const { timeline } = addVersion(run(timelineOf(doc), remove([a])), "a", VERSION);
  assert.equal(findLayer(undo(timeline).doc, "a")?.versions.length, 2);
  assert.equal(addVersion(timelineOf(doc), "nobody", VERSION).index, -1);
});

test("a timeline survives JSON, shares its layers and stays small", () => {
  let timeline = timelineOf(docOf(..."abcdefghij"));
  for (let i = 0; i < 90; i += 1) timeline = record(timeline, rename(timeline.doc.layers[i % 10], `name ${i}`));
  timeline = undo(addVersion(timeline, "c", VERSION).timeline);
  const text = JSON.stringify(pack(timeline));
  const back = unpack(JSON.parse(text));
  assert.deepEqual(back, timeline);
  assert.equal(back.doc.layers[0], back.past.at(-1)?.doc.layers[0]);
  assert.ok(text.length < 60_000, `${text.length} characters`);
});

test("groups come back with a project, and with a stack of a file or a program", () => {
  const grouped = { ...docOf("a:G / H"), groups: { "G / H": { ...PLAIN_GROUP, opacity: 0.4 } } };
  assert.deepEqual(unpack(JSON.parse(JSON.stringify(pack(timelineOf(grouped))))).doc, grouped);
  const [{ name, image, width, height, group }] = grouped.layers;
  const stack = { width, height, picture: null, layers: [{ name, image, width, height, group }], groups: { "G / H": { opacity: 0.4 } } };
  assert.deepEqual(restore(stack).timeline.doc.groups, grouped.groups);
  assert.deepEqual(restore({ ...stack, groups: undefined }).timeline.doc.groups, {});
});

test("a snapshot brings back the work, and cuts the past before it grows too large", () => {
  const state = { ...initialState(), ...run(timelineOf(doc), rename(a, "x".repeat(300_000))), selected: "a" };
  let long = state;
  for (let i = 0; i < 12; i += 1) long = { ...long, ...record(long, rename(long.doc.layers[0], `${i}`.repeat(200_000))) };
  const kept = JSON.parse(JSON.stringify(snapshot(long)));
  assert.ok(JSON.stringify(kept).length < 2_000_000);
  assert.deepEqual(restore(kept).timeline.doc, long.doc);
  assert.equal(restore(kept).patch.selected, "a");
  assert.ok(sameWork(kept, { ...kept, settings: null }));
  assert.ok(!sameWork(kept, JSON.parse(JSON.stringify(snapshot(state)))));
});

test("the store says change, and only commands change the document", () => {
  const store = new Store({ ...initialState(), ...timelineOf(doc) });
  let changes = 0;
  store.addEventListener("change", () => (changes += 1));
  assert.ok(store.run(rename(a, "one"), { selected: "a" }));
  assert.ok(!store.run(rename(store.state.doc.layers[0], "one")));
  store.undo();
  assert.equal(store.state.doc, doc);
  store.redo();
  assert.equal(store.addVersion("a", VERSION), 1);
  assert.equal(store.state.selected, "a");
  assert.equal(changes, 5);
});

test("a document of a newer version is not taken apart, one that says no version is of the first", () => {
  const kept = snapshot(initialState());
  assert.throws(() => restore({ ...kept, format: kept.format + 1 }), NewerError);
  const { format: _, ...first } = kept;
  assert.deepEqual(restore(first), restore(kept));
});
