import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { editOf } from "../../state/edits.js";
import { capabilitiesOf } from "../../state/initial.js";
import { createThumb } from "../layers/rows.js";
import { field, iconButton } from "../shell/fields.js";
import { filePicker } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";

/** Pictures that an edit takes something from: other layers, or files. @param {Actions} actions @param {() => string} layerId @param {Bitmaps} bitmaps */
export function createReferences(actions, layerId, bitmaps) {
  /** @type {readonly Layer[]} */
  let others = [];
  /** @type {readonly Reference[]} */
  let chosen = [];
  let shown = "";
  const set = (/** @type {readonly Reference[]} */ references) => actions.setEdit(layerId(), { references });
  const list = h("ul.references");
  const layers = menuButton(h("button.button.small", { type: "button" }, t("references.layer")), () => ({
    label: t("references.layer"),
    entries: others.map(({ name, image }) => ({ label: name, run: () => set([...chosen, { name, image }]) })),
  }));
  const file = filePicker({
    label: t("references.file"),
    look: "small",
    accept: "image/*",
    onfile: (picture) => actions.addReference(layerId(), picture),
  });
  const add = h("div.region-line", layers, file);
  const hint = h("p.hint");
  const element = h("div.region", field(t("references.title"), list), add, hint);

  /** @param {Reference} reference @param {number} index */
  function item({ name, image }, index) {
    const thumb = createThumb(bitmaps);
    thumb.draw(image);
    const remove = iconButton("close", t("references.remove", { name }), () => set(chosen.filter((_, other) => other !== index)));
    const words = h("span", h("strong", t("references.number", { number: index + 2 })), ` ${name}`);
    return h("li.reference", h("span.thumb.checkerboard", thumb.element), words, remove);
  }

  return {
    element,
    /** @param {State} state */
    render: (state) => {
      const { references: most } = capabilitiesOf(state);
      const id = layerId();
      chosen = editOf(state, id).references;
      others = state.doc.layers.filter((layer) => layer.id !== id).reverse();
      element.hidden = most === 0;
      add.hidden = chosen.length >= most;
      layers.disabled = others.length === 0;
      setText(hint, t(chosen.length > 0 ? "references.hint" : "references.empty"));
      const now = JSON.stringify(chosen);
      if (now === shown) return;
      shown = now;
      list.replaceChildren(...chosen.map(item));
    },
  };
}
