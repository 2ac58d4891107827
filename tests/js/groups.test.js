import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openPicture, remove, showOnly } from "../../static/js/state/commands.js";
import { isShown, newLayer, PLAIN_GROUP } from "../../static/js/state/doc.js";
import {
  arrange,
  dropOf,
  duplicateGroup,
  groupPart,
  layerPart,
  makeGroup,
  mergeGroup,
  removeGroup,
  renameGroup,
  rowsOf,
  setGroup,
  split,
  stepOf,
  ungroup,
} from "../../static/js/state/groups.js";
import { docOf, PICTURE, stackOf } from "./documents.js";

const words = JSON.parse(readFileSync(new URL("../../static/i18n/en.json", import.meta.url), "utf8"));
const FADED = { ...PLAIN_GROUP, opacity: 0.5 };
const doc = { ...docOf("a", "b:G", "c:G / H", "d:G", "e"), groups: { "G / H": FADED } };
const part = (/** @type {string} */ id) => layerPart(/** @type {Layer} */ (doc.layers.find((layer) => layer.id === id)));
const made = newLayer({ id: "n", name: "N", image: "/api/images/n.png", width: 10, height: 10, coverage: 1 });

/** The list, top first, a dot for each group around a line. @param {Doc} of @param {string[]} [folded] */
const listOf = (of, folded) =>
  rowsOf(of, folded).map(
    ({ part: { kind, key, name }, depth, hidden }) => `${".".repeat(depth)}${kind === "group" ? name : key}${hidden ? "?" : ""}`,
  );

/** Where a part goes by steps, as the stack is then. @param {Part} moved @param {1 | -1} by @param {string[]} [folded] */
function steps(moved, by, folded = []) {
  const seen = [];
  let now = doc;
  for (let spot = stepOf(now, moved, by, folded); spot !== null; spot = stepOf(now, moved, by, folded)) {
    now = arrange([moved], spot).apply(now);
    seen.push(stackOf(now).join(" "));
  }
  return seen;
}

test("the list is a tree, top first, and a folded group shows nothing of what is in it", () => {
  assert.deepEqual(listOf(doc), ["e", "G", ".d", ".H", "..c", ".b", "a"]);
  assert.deepEqual(listOf(doc, ["G / H"]), ["e", "G", ".d", ".H", "..c?", ".b", "a"]);
  assert.deepEqual(listOf(doc, ["G"]), ["e", "G", ".d?", ".H?", "..c?", ".b?", "a"]);
  assert.deepEqual(
    rowsOf(doc)[1].layers.map(({ id }) => id),
    ["d", "c", "b"],
  );
});

test("every command has words, leaves its document alone, and changes nothing where there is nothing to change", () => {
  const before = JSON.stringify(doc);
  const commands = [
    arrange([part("a")], { index: 1, parent: "G" }),
    makeGroup([part("a")], "New"),
    ungroup("G"),
    renameGroup("G", "K"),
    duplicateGroup("G", ["x", "y", "z"]),
    removeGroup("G / H"),
    mergeGroup("G", made),
    setGroup("G", { visible: false }),
    setGroup("G", { blend: "multiply" }),
    split(doc.layers[0], [made]),
  ];
  const empty = openPicture(PICTURE).apply(doc);
  for (const command of commands) {
    assert.notEqual(command.apply(doc), doc, command.title);
    assert.equal(command.apply(empty), empty, command.title);
    assert.ok(
      [...words[command.title].matchAll(/\{(\w+)\}/g)].every(([, name]) => name in command.about),
      command.title,
    );
  }
  assert.equal(JSON.stringify(doc), before);
  const idle = [
    arrange([part("b")], { index: 1, parent: "G" }),
    renameGroup("G", " "),
    renameGroup("G", "G"),
    setGroup("G", { opacity: 1 }),
  ];
  for (const command of idle) assert.equal(command.apply(doc), doc, command.title);
});

test("steps lead through open groups, past folded ones, and end at the ends of the stack", () => {
  assert.deepEqual(steps(part("a"), 1), [
    "a:G b:G c:G / H d:G e",
    "b:G a:G c:G / H d:G e",
    "b:G a:G / H c:G / H d:G e",
    "b:G c:G / H a:G / H d:G e",
    "b:G c:G / H a:G d:G e",
    "b:G c:G / H d:G a:G e",
    "b:G c:G / H d:G a e",
    "b:G c:G / H d:G e a",
  ]);
  assert.deepEqual(steps(part("e"), -1, ["G"]), ["a e b:G c:G / H d:G", "e a b:G c:G / H d:G"]);
  assert.deepEqual(steps(groupPart("G"), 1), ["a e b:G c:G / H d:G"]);
  assert.deepEqual(steps(groupPart("G"), -1), ["b:G c:G / H d:G a e"]);
});

test("a group moves with all that is in it and said of it", () => {
  const out = arrange([groupPart("G / H")], { index: 0, parent: "" }).apply(doc);
  assert.deepEqual(stackOf(out), ["c:H", "a", "b:G", "d:G", "e"]);
  assert.deepEqual(out.groups, { H: FADED });
  const back = arrange([groupPart("H")], { index: 2, parent: "G" }).apply(out);
  assert.deepEqual([stackOf(back), back.groups], [stackOf(doc), doc.groups]);
});

test("several layers go together, from wherever they were", () => {
  const together = arrange([part("a"), part("d")], { index: 2, parent: "G / H" }).apply(doc);
  assert.deepEqual(stackOf(together), ["b:G", "c:G / H", "a:G / H", "d:G / H", "e"]);
  const rows = rowsOf(doc).filter(({ part: { key } }) => !["a", "d"].includes(key));
  // e G H c b
  assert.deepEqual(dropOf(doc, [part("a"), part("d")], rows, 4, 2, []), { index: 1, parent: "G / H", depth: 2 });
});

test("a drop goes as deep as it is wanted, as far as the lines around it allow", () => {
  const rows = rowsOf(doc).filter(({ layers: [{ id }] }) => id !== "e");
  const spot = (/** @type {number} */ place, /** @type {number} */ depth, folded = []) =>
    dropOf(doc, [part("e")], rows, place, depth, folded);
  // G d H c b a
  assert.deepEqual(spot(0, 3), { index: 4, parent: "", depth: 0 });
  assert.deepEqual(spot(1, 0), { index: 4, parent: "G", depth: 1 });
  assert.deepEqual(spot(3, 0), { index: 3, parent: "G / H", depth: 2 });
  assert.deepEqual(spot(4, 2), { index: 2, parent: "G / H", depth: 2 });
  assert.deepEqual(spot(4, 0), { index: 2, parent: "G", depth: 1 });
  assert.deepEqual(
    [spot(5, 0), spot(5, 1), spot(6, 0)].map(({ parent }) => parent),
    ["", "G", ""],
  );
  assert.deepEqual(spot(6, 9), { index: 0, parent: "", depth: 0 });
  // The only layer of a group, above the line of its own group.
  const inside = rowsOf(doc).filter(({ part: { key } }) => key !== "c");
  assert.deepEqual(dropOf(doc, [part("c")], inside, 3, 1, []), { index: 2, parent: "G", depth: 1 });
});

test("groups that come beside each other do not become one", () => {
  const twins = docOf("a:G", "b:H", "c:H / G");
  assert.deepEqual(stackOf(ungroup("H").apply(twins)), ["a:G", "b", "c:G 2"]);
  assert.deepEqual(stackOf(arrange([groupPart("H / G")], { index: 1, parent: "" }).apply(twins)), ["a:G", "c:G 2", "b:H"]);
  assert.deepEqual(stackOf(renameGroup("H", "G").apply(twins)), ["a:G", "b:G 2", "c:G 2 / G"]);
  assert.deepEqual(stackOf(duplicateGroup("H", ["x", "y"]).apply(twins)), ["a:G", "b:H", "c:H / G", "x:H 2", "y:H 2 / G"]);
  assert.deepEqual(stackOf(makeGroup([layerPart(twins.layers[1])], "G").apply(twins)), ["a:G", "b:H / G 2", "c:H / G"]);
  assert.deepEqual(stackOf(makeGroup([groupPart("G"), groupPart("H / G")], "New").apply(twins)), [
    "b:H",
    "a:H / New / G",
    "c:H / New / G 2",
  ]);
  const named = { ...twins, layers: twins.layers.map((layer) => ({ ...layer, name: "H / G" })) };
  assert.deepEqual(stackOf(split(named.layers[0], [made]).apply(named))[0], "n:G / H/G");
});

test("a copy, what is left, and one layer in place of a group", () => {
  const copy = duplicateGroup("G / H", ["x"]).apply(doc);
  assert.deepEqual([stackOf(copy)[3], copy.groups["G / H 2"]], ["x:G / H 2", FADED]);
  assert.deepEqual(remove([doc.layers[2]]).apply(doc).groups, {}, "another group of that name starts over");
  assert.deepEqual(removeGroup("G").apply(doc).groups, {});
  const merged = mergeGroup("G / H", made).apply(doc);
  assert.deepEqual([stackOf(merged)[2], merged.layers[2].opacity, merged.layers[2].blend], ["n:G", 0.5, "normal"]);
});

test("no group is put where its label would be longer than the server keeps", () => {
  const long = docOf(`a:${"x".repeat(120)}`, `b:${"y".repeat(120)}`);
  const command = arrange([layerPart(long.layers[1])], { index: 1, parent: "x".repeat(120) });
  assert.equal(stackOf(command.apply(long))[1], `b:${"x".repeat(120)}`);
  const label = (/** @type {Doc} */ of) => of.layers[1].group;
  assert.ok(label(arrange([groupPart("y".repeat(120))], { index: 1, parent: "x".repeat(120) }).apply(long)).length <= 200);
  const deep = docOf("a:x", `b:${"y".repeat(100)} / ${"z".repeat(90)}`);
  assert.equal(arrange([groupPart("y".repeat(100))], { index: 1, parent: "x".repeat(40) }).apply(deep), deep);
});

test("to show one layer alone is to show the groups that it is in", () => {
  const hidden = setGroup("G", { visible: false }).apply(doc);
  const alone = showOnly(doc.layers[2]).apply(hidden);
  assert.deepEqual(
    alone.layers.filter((layer) => isShown(alone, layer)).map(({ id }) => id),
    ["c"],
  );
  assert.ok(
    showOnly(alone.layers[2])
      .apply(alone)
      .layers.every(({ visible }) => visible),
  );
});
