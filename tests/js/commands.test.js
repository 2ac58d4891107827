import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  add,
  decomposed,
  duplicate,
  flip,
  mergeDown,
  moveTo,
  openPicture,
  remove,
  rename,
  resetPlace,
  scaleTo,
  setBlend,
  setOpacity,
  setVisible,
  showOnly,
  useVersion,
} from "../../static/js/state/commands.js";
import { findLayer, isAsDecomposed, newLayer } from "../../static/js/state/doc.js";
import { arrange, layerPart, makeGroup, setGroup } from "../../static/js/state/groups.js";
import { docOf, PICTURE, stackOf } from "./documents.js";

const words = JSON.parse(readFileSync(new URL("../../static/i18n/en.json", import.meta.url), "utf8"));
const doc = docOf("a", "b:G", "c:G", "d");
const [a, b] = doc.layers;
const other = newLayer({ id: "n", name: "A", image: "/api/images/n.png", width: 10, height: 10, coverage: 1 });
const ANSWER = {
  layers: [0, 1, 2].map((index) => ({
    index,
    name: `L${index}`,
    image: `/api/images/${index}.png`,
    width: 100,
    height: 80,
    coverage: 0.3,
  })),
  width: 100,
  height: 80,
  seed: 7,
  prompt: "",
  engine: "classical",
};

const COMMANDS = [
  setVisible(a, false),
  setOpacity(a, 0.4),
  setBlend(a, "multiply"),
  rename(a, "Ground"),
  showOnly(b),
  moveTo(a, 3, 4),
  scaleTo(a, 2, { x: 0, y: 0 }),
  flip(a, "flipX"),
  duplicate(a, "n"),
  remove(a),
  add(other, "b"),
  mergeDown(b, other),
  openPicture(PICTURE),
  decomposed(PICTURE, ANSWER, "j"),
];

test("every command has a name, leaves the document it was given alone, and returns another", () => {
  const before = JSON.stringify(doc);
  for (const command of COMMANDS) {
    const next = command.apply(doc);
    assert.notEqual(next, doc, command.title);
    assert.equal(JSON.stringify(doc), before, command.title);
    assert.ok(command.title in words, command.title);
    assert.ok(
      [...words[command.title].matchAll(/\{(\w+)\}/g)].every(([, name]) => name in command.about),
      command.title,
    );
  }
});

test("a command that has nothing to change returns the document it was given", () => {
  const idle = [
    setVisible(a, true),
    setOpacity(a, 1),
    rename(a, "  "),
    moveTo(a, 0, 0),
    resetPlace(a),
    useVersion(a, 3),
    mergeDown(a, other),
  ];
  for (const command of idle) assert.equal(command.apply(doc), doc, command.title);
  const gone = newLayer({ ...other, id: "gone" });
  for (const command of [remove(gone), duplicate(gone, "x"), setOpacity(gone, 0.1)]) assert.equal(command.apply(doc), doc);
});

test("a new layer comes into the group that it lies in", () => {
  assert.deepEqual(stackOf(add(other, "b").apply(doc)), ["a", "b:G", "n:G", "c:G", "d"]);
  assert.deepEqual(stackOf(add(other, null).apply(doc)), ["a", "b:G", "c:G", "d", "n"]);
  const nested = docOf("a:G", "b:G / H", "c:G");
  assert.deepEqual(stackOf(add(other, "b").apply(nested)), ["a:G", "b:G / H", "n:G", "c:G"]);
  assert.deepEqual(stackOf(add({ ...other, group: "G / H" }, "b").apply(nested)), ["a:G", "b:G / H", "n:G / H", "c:G"]);
  assert.deepEqual(stackOf(mergeDown(b, other).apply(doc)), ["n", "c:G", "d"]);
});

test("names are new to the document", () => {
  assert.equal(findLayer(duplicate(a, "x").apply(doc), "x")?.name, "A 2");
  const twice = duplicate(a, "y").apply(duplicate(a, "x").apply(doc));
  assert.equal(findLayer(twice, "y")?.name, "A 3");
});

test("solo shows one layer, and all again", () => {
  const alone = showOnly(b).apply(doc);
  assert.deepEqual(
    alone.layers.map(({ visible }) => visible),
    [false, true, false, false],
  );
  assert.ok(
    showOnly(b)
      .apply(alone)
      .layers.every(({ visible }) => visible),
  );
});

test("a layer scales about the point that is to stay", () => {
  const scaled = findLayer(scaleTo(a, 2, { x: 100, y: 80 }).apply(doc), "a");
  assert.deepEqual([scaled?.scale, scaled?.x, scaled?.y], [2, -100, -80]);
  assert.equal(findLayer(scaleTo(a, 1e9, { x: 0, y: 0 }).apply(doc), "a")?.scale, 32);
  assert.equal(findLayer(resetPlace(/** @type {any} */ (scaled)).apply(scaleTo(a, 2, { x: 9, y: 9 }).apply(doc)), "a")?.x, 0);
});

test("exactness is claimed only of what decompose made", () => {
  const made = decomposed(PICTURE, ANSWER, "j").apply(doc);
  assert.ok(isAsDecomposed(made));
  const [first, second] = made.layers;
  for (const command of [
    remove(first),
    arrange(layerPart(first), { index: 1, parent: "" }),
    flip(first, "flipY"),
    setBlend(second, "screen"),
    add(other, null),
    setOpacity(first, 0.5),
  ]) {
    assert.ok(!isAsDecomposed(command.apply(made)), command.title);
  }
  assert.ok(isAsDecomposed(rename(first, "x").apply(made)));
  const grouped = makeGroup([layerPart(first)], "G").apply(made);
  assert.ok(isAsDecomposed(grouped));
  assert.ok(!isAsDecomposed(setGroup("G", { opacity: 0.5 }).apply(grouped)));
});
