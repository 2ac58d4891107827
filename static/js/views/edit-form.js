// @ts-check
import { h, setText, setValue } from "../dom.js";
import { isEditing } from "../actions/edits.js";
import { t } from "../i18n.js";
import { samplingFold, segmented, uniqueId } from "./fields.js";

const CHIPS = /** @type {const} */ (["blue", "vibrant", "glow", "background", "vintage", "shadows", "simplify", "photo"]);
/** What only a model can do. */
const FOR_MODELS = ["photo"];

/**
 * What is to be done with the layer.
 * @param {import("../types.js").Actions} actions
 * @param {() => string} layerId   the layer at hand
 */
export function createEditForm(actions, layerId) {
  const id = uniqueId("instruction");
  const field = h("textarea", { class: "input", id, rows: 3, maxLength: 2000, placeholder: t("edit.placeholder") });
  field.addEventListener("input", () => actions.setEdit(layerId(), { instruction: field.value }));
  const chips = CHIPS.map((name) => t(`edit.chip.${name}`)).map((chip) =>
    h("button", { class: "chip", type: "button", onclick: () => take(chip) }, chip),
  );
  const shape = segmented({
    label: t("edit.shape"),
    options: [
      ["keep", t("edit.shape.keep")],
      ["new", t("edit.shape.new")],
    ],
    onpick: (value) => actions.setEdit(layerId(), { shape: value }),
  });
  const shapeHint = h("p", { class: "hint" });
  const fold = samplingFold((patch) => actions.setEdit(layerId(), patch));
  const element = h(
    "div",
    { class: "edit-form" },
    h("div", { class: "field" }, h("label", { class: "label", for: id }, t("edit.instruction")), field),
    h("div", { class: "chips", role: "group", "aria-label": t("edit.examples") }, ...chips),
    h("div", { class: "field" }, h("span", { class: "label" }, t("edit.shape")), shape.element, shapeHint),
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
        chip.hidden = classical && FOR_MODELS.includes(CHIPS[index]);
        chip.disabled = busy;
      });
      shape.set(edit.shape);
      setText(shapeHint, t(`edit.shapeHint.${edit.shape}`));
      fold.render(edit, classical);
    },
  };
}
