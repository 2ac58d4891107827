import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { recallable } from "../../static/js/views/edit/form.js";

/** A text field in which earlier instructions are recalled, the caret at its start. */
class Field extends EventTarget {
  value = "";
  selectionEnd = 0;

  press(key) {
    this.dispatchEvent(Object.assign(new Event("keydown", { cancelable: true }), { key }));
    return this.value;
  }

  type(text) {
    this.value = text;
    this.selectionEnd = text.length;
    this.dispatchEvent(new Event("input"));
  }
}

function recalling() {
  const field = new Field();
  recallable(
    /** @type {any} */ (field),
    () => ["make it darker", "make it blue"],
    (text) => {
      field.value = text;
      field.selectionEnd = text.length;
    },
  );
  return field;
}

test("Up goes back through earlier instructions, Down forth to what was typed", () => {
  const field = recalling();
  const keys = ["ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown", "ArrowDown", "ArrowDown"];
  assert.deepEqual(
    keys.map((key) => field.press(key)),
    ["make it darker", "make it blue", "make it blue", "make it darker", "", ""],
  );
});

test("in what was typed the arrows belong to the caret, unless it stands at the start", () => {
  const field = recalling();
  field.type("make it");
  assert.equal(field.press("ArrowUp"), "make it");
  field.selectionEnd = 0;
  assert.equal(field.press("ArrowUp"), "make it darker");
  assert.equal(field.press("ArrowDown"), "make it");
});
