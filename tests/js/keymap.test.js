import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { commandOf, KEYMAP, signsOf } from "../../static/js/keymap.js";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const words = JSON.parse(read("static/i18n/en.json"));
const event = (key, held = {}) => /** @type {any} */ ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held });

test("the documentation has every key", () => {
  const rows = Object.entries(KEYMAP).flatMap(([place, keys]) =>
    keys.map(([what, pressed]) => `| ${words[`help.${place}`]} | ${signsOf(pressed).join(" ")} | ${words[what]} |\n`),
  );
  assert.ok(read("docs/page.md").includes(rows.join("")), `the table in docs/page.md is to be\n${rows.join("")}`);
});

test("a key does one thing in a place", () => {
  for (const [place, rows] of Object.entries(KEYMAP)) {
    const keys = rows.flatMap(([, pressed, more = {}]) => [...Object.keys(pressed), ...Object.keys(more)]);
    assert.equal(new Set(keys).size, keys.length, place);
  }
});

test("Shift and capitals count where they make a difference", () => {
  assert.equal(commandOf("layer", event("v")), "eye");
  assert.equal(commandOf("layer", event("V")), "eye"); // with caps lock
  assert.equal(commandOf("layer", event("V", { shiftKey: true })), "solo");
  assert.equal(commandOf("layer", event("E", { shiftKey: true })), "edit");
  assert.equal(commandOf("picture", event("+", { shiftKey: true })), "zoomIn");
  assert.equal(commandOf("everywhere", event("?", { shiftKey: true })), "help");
  assert.equal(commandOf("everywhere", event("z", { metaKey: true })), "undo");
  assert.equal(commandOf("everywhere", event("Z", { ctrlKey: true, shiftKey: true })), "redo");
  assert.equal(commandOf("picture", event("0", { ctrlKey: true })), ""); // the browser's own
  assert.equal(commandOf("everywhere", event("v", { ctrlKey: true })), "");
});
