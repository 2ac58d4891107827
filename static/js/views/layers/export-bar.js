import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { isDecomposing } from "../../state/engine.js";
import { filePicker } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";

/** Another picture in, the whole stack out. @param {Actions} actions @returns {View} */
export function createExportBar(actions) {
  /** @type {Config["limits"] | undefined} */
  let limits;
  const words = h("span");
  const button = menuButton(h("button.button", icon("download"), words), () => ({
    label: t("layers.export"),
    entries: [
      ...(limits?.export_formats ?? []).map((format) => ({
        label: t(`export.${format}`),
        about: t(`export.${format}.about`),
        icon: limits?.image_formats.includes(format) ? /** @type {const} */ ("picture") : /** @type {const} */ ("logo"),
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
      limits = state.config?.limits;
      // A second export waits for the first; a button that goes dead would lose the focus.
      button.disabled = isDecomposing(state);
      element.hidden = state.doc.layers.length === 0;
      setText(words, t(state.exporting === null ? "layers.export" : "layers.preparing"));
    },
  };
}
