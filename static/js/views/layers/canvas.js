import { h } from "../../dom.js";
import { t } from "../../i18n.js";
import { infoDialog } from "../shell/dialogs.js";
import { uniqueId } from "../shell/fields.js";

const [ROWS, COLUMNS] = /** @type {const} */ ([
  ["top", "middle", "bottom"],
  ["left", "center", "right"],
]);

/** Ask for the size of the canvas, and which part of what it shows stays in its place. @param {Actions} actions @param {Doc} doc @param {HTMLElement} back   gets the focus back */
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
