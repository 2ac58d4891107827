import { showOnly } from "../commands/look.js";
import { t } from "../i18n.js";

/**
 * What else can be done with a layer.
 * @param {Layer} layer
 * @param {number} index   of the stack, 0 at the bottom
 * @param {Actions} actions
 * @param {() => void} rename
 * @returns {import("./menu.js").Entry[]}
 */
export function layerMenu(layer, index, actions, rename) {
  return [
    { label: t("layers.rename"), icon: "pencil", key: "F2", run: rename },
    { label: t("layers.duplicate"), icon: "duplicate", key: "Ctrl D", run: () => actions.duplicate(layer) },
    { label: t("layers.solo"), icon: "eye", key: "Shift V", run: () => actions.run(showOnly(layer)) },
    "",
    { label: t("layers.split"), icon: "split", run: () => actions.splitLayer(layer) },
    { label: t("layers.merge"), icon: "merge", disabled: index === 0, run: () => actions.mergeDown(layer) },
    "",
    { label: t("layers.copy"), icon: "copy", key: "Ctrl C", run: () => actions.copyLayer(layer) },
    { label: t("layers.save"), icon: "download", run: () => actions.saveLayer(layer) },
    "",
    { label: t("layers.delete"), icon: "trash", key: "Del", danger: true, run: () => actions.remove(layer) },
  ];
}
