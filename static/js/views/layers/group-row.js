import { renameGroup, ungroup } from "../../commands/groups.js";
import { setGroupVisible } from "../../commands/look.js";
import { h, setAttribute, setLabel, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon, setIcon } from "../../icons.js";
import { layerCount } from "../../words.js";
import { iconButton } from "../shell/fields.js";
import { menuButton } from "../shell/menu.js";
import { createRename } from "../shell/rename.js";

/** The line above a group: fold, eye, and what can be done with all of it. @param {string} name @param {Actions} actions */
export function createGroupRow(name, actions) {
  let visible = true;
  const words = h("span.layer-name");
  const count = h("span.hint.number");
  const kind = h("span.visually-hidden", t("layers.group"));
  const fold = h("button.group-fold", { onclick: () => actions.fold(name) }, icon("chevron"), kind, words, count);
  const rename = createRename({ label: t("layers.groupField"), stands: fold, onname: (text) => actions.run(renameGroup(name, text)) });
  const eye = h("button.icon-button.eye", { onclick: () => actions.run(setGroupVisible(name, !visible)) }, icon("eye"));
  const more = menuButton(iconButton("more", t("layers.more", { name }), () => {}), () => ({
    label: t("layers.more", { name }),
    entries: [
      { label: t("layers.rename"), icon: "pencil", run: () => rename.begin(name) },
      { label: t("layers.ungroup"), icon: "folder", run: () => actions.run(ungroup(name)) },
      { label: t("layers.delete"), icon: "trash", danger: true, run: () => actions.removeGroup(name) },
    ],
  }));
  const element = h("li.group", { "data-group": name }, fold, rename.element, eye, more);
  setText(words, name);
  return {
    element,
    /** @param {readonly Layer[]} layers   bottom to top @param {boolean} folded */
    render: (layers, folded) => {
      visible = layers.some((layer) => layer.visible);
      setText(count, layerCount(layers.length));
      element.classList.toggle("folded", folded);
      element.dataset.top = layers.at(-1)?.id;
      setAttribute(fold, "aria-expanded", !folded);
      setIcon(/** @type {SVGSVGElement} */ (eye.firstElementChild), visible ? "eye" : "eyeOff");
      const looking = t(visible ? "layers.hide" : "layers.show", { name });
      setLabel(eye, looking);
    },
  };
}
