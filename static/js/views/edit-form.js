// @ts-check
import { h, setText, setValue } from "../dom.js";
import { isEditing } from "../actions/edits.js";
import { strings } from "../strings.js";
import { samplingFold, segmented, uniqueId } from "./fields.js";

const text = strings.edit;

/**
 * What is to be done with the layer.
 * @param {import("../types.js").Actions} actions
 * @param {() => string} layerId   the layer at hand
 */
export function createEditForm(actions, layerId) {
  const id = uniqueId("instruction");
  const field = h("textarea", { class: "input", id, rows: 3, maxLength: 2000, placeholder: text.placeholder });
  field.addEventListener("input", () => actions.setEdit(layerId(), { instruction: field.value }));
  const chips = [...text.chips, ...text.qwenChips].map((chip) =>
    h("button", { class: "chip", type: "button", onclick: () => take(chip) }, chip),
  );
  const shape = segmented({
    label: text.shape,
    options: /** @type {["keep" | "new", string][]} */ (Object.entries(text.shapes)),
    onpick: (value) => actions.setEdit(layerId(), { shape: value }),
  });
  const shapeHint = h("p", { class: "hint" });
  const fold = samplingFold((patch) => actions.setEdit(layerId(), patch));
  const element = h(
    "div",
    { class: "edit-form" },
    h("div", { class: "field" }, h("label", { class: "label", for: id }, text.instruction), field),
    h("div", { class: "chips", role: "group", "aria-label": text.examples }, ...chips),
    h("div", { class: "field" }, h("span", { class: "label" }, text.shape), shape.element, shapeHint),
    fold.element,
  );

  /** An example takes the place of another example, and is added to what was typed. @param {string} chip */
  function take(chip) {
    const typed = field.value.trim();
    const replaceable = typed === "" || chips.some((button) => button.textContent === typed);
    const instruction = replaceable ? chip : `${typed.replace(/[.,;]$/, "")}, ${chip[0].toLowerCase()}${chip.slice(1)}`;
    actions.setEdit(layerId(), { instruction });
    field.focus();
  }

  return {
    element,
    focus: () => field.focus(),
    /** @param {import("../types.js").Edit} edit @param {boolean} classical */
    render: (edit, classical) => {
      const busy = isEditing(edit);
      setValue(field, edit.instruction);
      field.readOnly = busy;
      chips.forEach((chip, index) => {
        chip.hidden = classical && index >= text.chips.length;
        chip.disabled = busy;
      });
      shape.set(edit.shape);
      setText(shapeHint, text.shapeHints[edit.shape]);
      fold.render(edit, classical);
    },
  };
}
