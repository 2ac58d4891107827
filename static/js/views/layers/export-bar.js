import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { isDecomposing } from "../../state/engine.js";
import { filePicker } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";

/** In this order, as far as the server writes them. */
const FORMATS = /** @type {const} */ (["zip", "psd", "ora", "pptx", "png", "webp", "jpeg"]);

const FLAT = /** @type {readonly string[]} */ (["png", "webp", "jpeg"]);

/** Another picture in, the whole stack out. @param {Actions} actions @returns {View} */
export function createExportBar(actions) {
  /** @type {readonly string[]} */
  let written = ["zip", "png"];
  const words = h("span");
  const button = menuButton(h("button.button", icon("download"), words), () => ({
    label: t("layers.export"),
    entries: [
      ...FORMATS.filter((format) => written.includes(format)).map((format) => ({
        label: t(`export.${format}`),
        about: t(`export.${format}.about`),
        icon: FLAT.includes(format) ? /** @type {const} */ ("picture") : /** @type {const} */ ("logo"),
        run: () => actions.exportStack(format),
      })),
      "",
      { label: t("export.copy"), about: t("export.copy.about"), icon: /** @type {const} */ ("copy"), run: actions.copyPicture },
    ],
  }));
  const add = filePicker({ label: t("layers.add"), title: t("layers.addTitle"), look: "", icon: "plus", onfiles: actions.addPictures });
  const element = h("div.export-bar", add, button);
  return {
    element,
    render: (state) => {
      written = state.config?.limits.export_formats ?? written;
      // A second export waits for the first; a button that goes dead would lose the focus.
      button.disabled = isDecomposing(state);
      element.hidden = state.doc.layers.length === 0;
      setText(words, t(state.exporting === null ? "layers.export" : "layers.preparing"));
    },
  };
}
