import { h, setAttribute, setLabel, setText } from "../../dom.js";
import { layerCount, percent, t } from "../../i18n.js";
import { icon, setIcon } from "../../icons.js";
import { contentBox, coverageIn, drawCrop, grow } from "../../images/pixels.js";
import { rename, renameGroup, setGroupVisible, setVisible, showOnly, ungroup } from "../../state/commands.js";
import { BY_HAND } from "../../state/doc.js";
import { badgeOf } from "../../state/edits.js";
import { atWork } from "../../state/initial.js";
import { createRename, iconButton } from "../shell/fields.js";
import { menuButton } from "../shell/menu.js";

/** A layer that covers less of its own picture has next to nothing on it. */
const NEAR_EMPTY = 0.002;

/**
 * One layer of the list. The selected one takes in the panel with everything that can be done with it.
 *
 * @param {string} id
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 */
export function createLayerRow(id, actions, bitmaps) {
  /** @type {Layer} */
  let layer;
  const thumb = createThumb(bitmaps);
  const name = h("span.layer-name");
  const version = h("span.version");
  const share = h("span", { title: t("layers.coverageTitle") });
  const select = h(
    "button.layer-main",
    { onclick: () => actions.select(id), ondblclick: () => renaming.begin(layer.name) },
    h("span.visually-hidden", t("layers.select")),
    h("span.thumb.checkerboard", thumb.element),
    h("span.layer-words", name, h("span.layer-facts.hint.number", version, share)),
  );
  const renaming = createRename({ label: t("layers.nameField"), stands: select, onname: (text) => actions.run(rename(layer, text)) });
  const grip = h("span.grip", { "data-grip": "" }, icon("grip"));
  const eye = h("button.icon-button.eye", { onclick: look }, icon("eye"));
  const badge = h("span.badge");
  const edit = h("button.button.small.edit", { onclick: () => actions.openEdit(id) }, t("layers.edit"), badge);
  const element = h("li.layer", { "data-id": id }, h("div.layer-line", grip, select, renaming.element, eye, edit));

  /** @param {Event} event */
  function look(event) {
    const alone = /** @type {MouseEvent} */ (event).altKey;
    actions.run(alone ? showOnly(layer) : setVisible(layer, !layer.visible));
  }

  return {
    element,
    rename: () => renaming.begin(layer.name),
    focus: () => select.focus(),
    /** @param {Layer} next @param {State} state */
    render: (next, state) => {
      layer = next;
      thumb.draw(layer.image);
      thumb.element.style.transform = `scale(${layer.flipX ? -1 : 1}, ${layer.flipY ? -1 : 1})`;
      setText(name, layer.name);
      setAttribute(select, "title", layer.name);
      version.hidden = layer.current === 0;
      const byHand = layer.versions[layer.current].engine === BY_HAND;
      setText(version, byHand ? t("layers.byHand") : t("layers.version", { number: layer.current + 1 }));
      renderShare(share, layer, coverageIn(layer, state.doc, bitmaps.peek(layer.image)));
      const selected = state.selected === layer.id;
      element.classList.toggle("selected", selected);
      element.classList.toggle("off", !layer.visible);
      element.classList.toggle("grouped", layer.group !== "");
      element.classList.toggle("working", atWork(state, "split", layer.id).length > 0);
      setAttribute(select, "aria-pressed", selected);
      setIcon(/** @type {SVGSVGElement} */ (eye.firstElementChild), layer.visible ? "eye" : "eyeOff");
      const looking = t(layer.visible ? "layers.hide" : "layers.show", { name: layer.name });
      setLabel(eye, looking, t("layers.eyeHint", { label: looking }));
      setAttribute(eye, "aria-pressed", !layer.visible);
      renderBadge(badgeOf(state, layer));
      grip.title = t("layers.drag", { name: layer.name });
    },
  };

  /** @param {Badge | null} state */
  function renderBadge(state) {
    badge.hidden = state === null;
    setAttribute(badge, "data-state", state);
    const words = t("layers.editOf", { name: layer.name });
    setLabel(edit, state === null ? words : t("layers.badged", { label: words, badge: t(`layers.badge.${state}`) }));
  }
}

/** @param {HTMLElement} share @param {Layer} layer @param {number} covered   of the document */
function renderShare(share, { coverage, opacity, blend }, covered) {
  const empty = coverage < NEAR_EMPTY;
  const parts = [empty ? t("layers.nearEmpty") : percent(covered)];
  if (opacity < 1) parts.push(percent(Math.round(opacity * 100) / 100));
  if (blend !== "normal") parts.push(t(`blend.${blend}`));
  setText(share, parts.join(" · "));
  share.classList.toggle("flag", empty);
  share.title = t(empty ? "layers.nearEmptyTitle" : "layers.coverageTitle");
}

/** The line above a group: fold, eye, and what can be done with all of it. @param {string} name @param {Actions} actions */
export function createGroupRow(name, actions) {
  let visible = true;
  const words = h("span.layer-name");
  const count = h("span.hint.number");
  const kind = h("span.visually-hidden", t("layers.group"));
  const fold = h("button.group-fold", { onclick: () => actions.fold(name) }, icon("chevron"), kind, words, count);
  const rename = createRename({ label: t("layers.groupField"), stands: fold, onname: (text) => actions.run(renameGroup(name, text)) });
  const eye = h("button.icon-button.eye", { onclick: () => actions.run(setGroupVisible(name, !visible)) }, icon("eye"));
  const more = menuButton(
    iconButton("more", t("layers.more", { name }), () => {}),
    () => ({
      label: t("layers.more", { name }),
      entries: [
        { label: t("layers.rename"), icon: "pencil", run: () => rename.begin(name) },
        { label: t("layers.mergeGroup"), icon: "merge", run: () => actions.mergeGroup(name) },
        { label: t("layers.ungroup"), icon: "folder", run: () => actions.run(ungroup(name)) },
        { label: t("layers.delete"), icon: "trash", danger: true, run: () => actions.removeGroup(name) },
      ],
    }),
  );
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

const MARGIN = 0.04;

/** A small picture of what there is to see of a layer, cropped tightly. @param {Bitmaps} bitmaps */
export function createThumb(bitmaps) {
  const element = h("canvas.thumb-picture");
  let drawn = "";
  return {
    element,
    /** @param {string} image */
    draw: (image) => {
      if (drawn === image) return;
      drawn = image;
      bitmaps.load(image).then(
        (bitmap) => drawn === image && drawCrop(element, bitmap, grow(contentBox(bitmap), MARGIN, bitmap)),
        () => (drawn = ""),
      );
    },
  };
}
