import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  add,
  decomposed,
  duplicate,
  harmonized,
  mergeDown,
  openPicture,
  remove,
  rename,
  resetPlace,
  setBlend,
  setOpacity,
  setVisible,
  showOnly,
  useVersion,
} from "../../static/js/state/commands.js";
import { findLayer, isAsDecomposed, newLayer } from "../../static/js/state/doc.js";
import { arrange, layerPart, makeGroup, setGroup } from "../../static/js/state/groups.js";
import { align, mirror, moveBy, transform } from "../../static/js/state/transform.js";
import { docOf, PICTURE, part, stackOf } from "./documents.js";

const words = JSON.parse(readFileSync(new URL("../../static/i18n/en.json", import.meta.url), "utf8"));
const doc = docOf("a", "b:G", "c:G", "d");
const [a, b, c, d] = doc.layers;
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
  setVisible([a, d], false),
  setOpacity(a, 0.4),
  setBlend(a, "multiply"),
  rename(a, "Ground"),
  showOnly(b),
  moveBy([a, b, c, d], 3, 4),
  transform([a], { from: { x: 0, y: 0 }, across: 2 }),
  mirror([part(a)], "flipX"),
  align([part({ ...a, x: 5 }), part(b)], "right", doc),
  duplicate([a, c], ["n", "m"]),
  remove([a, c]),
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
    setVisible([a], true),
    setOpacity(a, 1),
    rename(a, "  "),
    moveBy([a], 0.4, 0),
    resetPlace([a]),
    useVersion(a, 3),
    mergeDown(a, other),
  ];
  for (const command of idle) assert.equal(command.apply(doc), doc, command.title);
  const gone = newLayer({ ...other, id: "gone" });
  for (const command of [remove([gone]), duplicate([gone], ["x"]), setOpacity(gone, 0.1)]) assert.equal(command.apply(doc), doc);
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
  assert.equal(findLayer(duplicate([a], ["x"]).apply(doc), "x")?.name, "A 2");
  const twice = duplicate([a], ["y"]).apply(duplicate([a], ["x"]).apply(doc));
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

test("what is done to several is one command about all of them", () => {
  assert.deepEqual(stackOf(remove([a, c]).apply(doc)), ["b:G", "d"]);
  assert.deepEqual(stackOf(duplicate([a, c], ["n", "m"]).apply(doc)), ["a", "n", "b:G", "c:G", "m:G", "d"]);
  assert.equal(remove([a, c]).about.name, "A, C");
  assert.equal(remove(doc.layers).about.name, "A, B, C, …");
});

test("exactness is claimed only of what decompose made", () => {
  const made = decomposed(PICTURE, ANSWER, "j").apply(doc);
  assert.ok(isAsDecomposed(made));
  const [first, second] = made.layers;
  for (const command of [
    remove([first]),
    arrange([layerPart(first)], { index: 1, parent: "" }),
    mirror([part(first)], "flipY"),
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

test("a harmonized layer shows its new version, and its shadow lies right below it", () => {
  const doc = docOf("a", "b");
  const layer = /** @type {any} */ (findLayer(doc, "b"));
  const shadow = newLayer({ id: "s", name: layer.name, image: "s.png", width: 4, height: 4, coverage: 0.1 });
  const kept = { ...layer, versions: [...layer.versions, { ...layer.versions[0], image: "new.png" }] };
  const before = { ...doc, layers: [doc.layers[0], kept] };
  const after = harmonized(kept, 1, shadow).apply(before);
  assert.deepEqual(after.layers.map(({ id, image }) => [id, image]).slice(1), [
    ["s", "s.png"],
    ["b", "new.png"],
  ]);
  assert.notEqual(after.layers[1].name, after.layers[2].name);
  assert.equal(harmonized(kept, 0, null).apply(before), before);
});
