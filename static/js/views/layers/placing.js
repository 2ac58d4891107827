import { h, setAttribute, setValue } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { partOf } from "../../images/pixels.js";
import { resetPlace } from "../../state/commands.js";
import { PLAIN, selectionOf } from "../../state/doc.js";
import { align, around, distribute, frameOf, middleOf, mirror, moveBy, pointOn, seenBox, transform } from "../../state/transform.js";
import { infoDialog } from "../shell/dialogs.js";
import { iconButton, uniqueId } from "../shell/fields.js";

const ALIGNMENTS = /** @type {const} */ (["left", "center", "right", "top", "middle", "bottom"]);

/**
 * The selection's transform: the position of its visible box, its size along its own axes, its angle, and
 * its alignment.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 */
export function createPlacing(actions, bitmaps) {
  /** @type {readonly import("../../state/transform.js").Part[]} */
  let parts = [];
  /** @type {State} */
  let state;
  /** The state before typing, because each digit gives another number. @type {typeof parts | null} */
  let before = null;
  /** Whether the sides keep their ratio. */
  let even = true;
  const layers = (/** @type {typeof parts} */ of = parts) => of.map(({ layer }) => layer);
  const main = (/** @type {typeof parts} */ of = parts) => /** @type {Layer} */ (layers(of).find(({ id }) => id === state.selected));

  /** @param {"x" | "y"} axis @param {number} value */
  function move(axis, value) {
    before ??= parts;
    const by = value - Math.round(around(before.map(seenBox))[axis]);
    actions.run(moveBy(layers(before), axis === "x" ? by : 0, axis === "y" ? by : 0));
  }

  /** @param {"width" | "height"} side @param {number} value */
  function size(side, value) {
    before ??= parts;
    const frame = frameOf(before);
    if (value >= 1 && frame[side] > 0) grow(before, value / frame[side], side);
  }

  /** The original top left corner stays. @param {typeof parts} from @param {number} by @param {"width" | "height" | "both"} side */
  function grow(from, by, side) {
    const frame = frameOf(from);
    const [across, down] = [side === "height" && !even ? 1 : by, side === "width" && !even ? 1 : by];
    actions.run(transform(layers(from), { from: pointOn(frame, { x: -1, y: -1 }), across, down, axes: frame.angle }, "command.scale"));
  }

  /** @param {number} value */
  function turn(value) {
    before ??= parts;
    const change = { from: middleOf(frameOf(before)), turn: value - main(before).rotation };
    actions.run(transform(layers(before), change, "command.turn"));
  }

  /** @param {number} value */
  function scale(value) {
    before ??= parts;
    if (value > 0) grow(before, value / 100 / main(before).scale, "both");
  }

  /** A number is complete. */
  function end() {
    before = null;
    actions.endKeys();
  }

  const px = t("number.pixels");
  const blur = () => render(state);
  const fields = {
    x: numberField(t("layers.x"), px, end, (value) => move("x", value), blur),
    y: numberField(t("layers.y"), px, end, (value) => move("y", value), blur),
    angle: numberField(t("layers.angle"), "°", end, turn, blur),
    width: numberField(t("layers.width"), px, end, (value) => size("width", value), blur),
    height: numberField(t("layers.height"), px, end, (value) => size("height", value), blur),
    scale: numberField(t("layers.scale"), "%", end, scale, blur),
  };
  const ratio = iconButton("lock", t("layers.ratio"), () => {
    even = !even;
    render(state);
  });
  const across = iconButton("flipX", t("layers.flipX"), () => actions.run(mirror(parts, "flipX")));
  const over = iconButton("flipY", t("layers.flipY"), () => actions.run(mirror(parts, "flipY")));
  const reset = h("button.button.small", { onclick: () => actions.run(resetPlace(layers())) }, icon("reset"), t("layers.reset"));
  const aligning = ALIGNMENTS.map((how) => iconButton(how, t(`align.${how}`), () => actions.run(align(parts, how, state.doc))));
  const spreading = /** @type {const} */ (["x", "y"]).map((axis) =>
    iconButton(axis === "x" ? "spreadX" : "spreadY", t(`align.spread.${axis}`), () => actions.run(distribute(parts, axis))),
  );
  const arranging = h("div.layer-tools.aligning", { role: "group" }, ...aligning, ...spreading);

  /** @param {State} next */
  function render(next) {
    state = next;
    parts = selectionOf(state).map((layer) => partOf(layer, bitmaps));
    if (parts.length === 0) return;
    const [frame, box] = [frameOf(parts), around(parts.map(seenBox))];
    fields.x.set(Math.round(box.x));
    fields.y.set(Math.round(box.y));
    fields.angle.set(main().rotation);
    fields.width.set(Math.round(frame.width));
    fields.height.set(Math.round(frame.height));
    fields.scale.set(Math.round(main().scale * 1000) / 10);
    setAttribute(ratio, "aria-pressed", even);
    setAttribute(across, "aria-pressed", main().flipX);
    setAttribute(over, "aria-pressed", main().flipY);
    setAttribute(arranging, "aria-label", t(parts.length > 1 ? "align.several" : "align.one"));
    for (const button of spreading) button.disabled = parts.length < 3;
    const keys = /** @type {const} */ (["x", "y", "scale", "stretch", "rotation", "flipX", "flipY"]);
    reset.disabled = layers().every((layer) => keys.every((key) => layer[key] === PLAIN[key]));
  }

  return {
    elements: [
      h("div.placing", ...Object.values(fields).map(({ element }) => element)),
      h("div.layer-tools", across, over, ratio, reset),
      arranging,
    ],
    focus: () => fields.scale.focus(),
    render,
  };
}

/** A number field with a label; invalid numbers are ignored. @param {string} label @param {string} unit @param {() => void} onchange @param {(value: number) => void} onnumber @param {() => void} onblur */
function numberField(label, unit, onchange, onnumber, onblur) {
  const id = uniqueId("number");
  const oninput = () => Number.isFinite(input.valueAsNumber) && onnumber(input.valueAsNumber);
  const input = h("input.input.number", { id, type: "number", step: "any", autocomplete: "off", onchange, oninput, onblur });
  const element = h("div.number-field", h("label.hint", { for: id }, `${label} (${unit})`), input);
  /** @param {number} value */
  const set = (value) => {
    // During typing the field is not updated; the effective value is shown after it loses the focus.
    if (input.valueAsNumber !== value && document.activeElement !== input) setValue(input, String(value));
  };
  return { element, set, focus: () => input.select() };
}

const [ROWS, COLUMNS] = /** @type {const} */ ([
  ["top", "middle", "bottom"],
  ["left", "center", "right"],
]);

/** Ask for the size of the canvas and its anchor. @param {Actions} actions @param {Doc} doc @param {HTMLElement} back   gets the focus back */
export function openCanvasDialog(actions, doc, back) {
  const width = lengthField(t("layers.width"), doc.width);
  const height = lengthField(t("layers.height"), doc.height);
  const name = uniqueId("anchor");
  const radios = ROWS.flatMap((row, down) =>
    COLUMNS.map((column, across) => {
      const label = t("canvas.anchor", { row: t(`canvas.${row}`), column: t(`canvas.${column}`) });
      return h("input", {
        type: "radio",
        name,
        value: `${across} ${down}`,
        "aria-label": label,
        title: label,
        checked: across === 1 && down === 1,
      });
    }),
  );

  /** @param {Event} event */
  function onsubmit(event) {
    event.preventDefault();
    const [across, down] = (radios.find(({ checked }) => checked)?.value ?? "1 1").split(" ").map((share) => Number(share) / 2);
    const size = { width: width.input.valueAsNumber, height: height.input.valueAsNumber };
    dialog.close();
    actions.setCanvas({ x: (doc.width - size.width) * across, y: (doc.height - size.height) * down, ...size });
  }

  const form = h(
    "form.canvas-form",
    { onsubmit },
    h("div.placing", width.element, height.element),
    h(
      "div.field",
      h("span.label", t("canvas.stays")),
      h("div.anchors", { role: "radiogroup", "aria-label": t("canvas.stays") }, ...radios),
    ),
    h("button.button.primary", { type: "submit" }, t("canvas.apply")),
  );
  const dialog = infoDialog("canvas-dialog", h("h2", t("canvas.title")), form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    back.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  width.input.select();
}

/** @param {string} label @param {number} value */
function lengthField(label, value) {
  const id = uniqueId("canvas");
  const input = h("input.input.number", { id, type: "number", min: "1", step: "1", required: true, value: String(value) });
  return { input, element: h("div.number-field", h("label.hint", { for: id }, `${label} (${t("number.pixels")})`), input) };
}
