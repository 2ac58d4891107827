// @ts-check
import { isSplitting } from "../actions/split.js";
import { rename, setVisible, showOnly } from "../commands/look.js";
import { h, setAttribute, setText } from "../dom.js";
import { t } from "../i18n.js";
import { icon, setIcon } from "../icons.js";
import { contentBox, drawCrop, grow } from "../images/pixels.js";
import { badgeOf } from "../state/edits.js";
import { percent } from "../words.js";
import { createRename } from "./rename.js";

const THUMB_PX = 128;
/** A layer that covers less has next to nothing on it. */
const NEAR_EMPTY = 0.002;

/**
 * One layer of the list. The selected one takes in the panel with everything that can be done with it.
 *
 * @param {string} id
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createLayerRow(id, actions, bitmaps) {
  /** @type {import("../types.js").Layer} */
  let layer;
  const thumb = createThumb(bitmaps);
  const name = h("span", { class: "layer-name" });
  const version = h("span", { class: "version" });
  const share = h("span", { title: t("layers.coverageTitle") });
  const select = h(
    "button",
    { class: "layer-main", type: "button", onclick: () => actions.select(id), ondblclick: () => renaming.begin(layer.name) },
    h("span", { class: "visually-hidden" }, t("layers.select")),
    h("span", { class: "thumb checkerboard" }, thumb.element),
    h("span", { class: "layer-words" }, name, h("span", { class: "layer-facts hint number" }, version, share)),
  );
  const renaming = createRename({ label: t("layers.nameField"), stands: select, onname: (text) => actions.run(rename(layer, text)) });
  const grip = h("span", { class: "grip", "data-grip": "" }, icon("grip"));
  const eye = h("button", { class: "icon-button eye", type: "button", onclick: look }, icon("eye"));
  const badge = h("span", { class: "badge" });
  const edit = h("button", { class: "button small edit", type: "button", onclick: () => actions.openEdit(id) }, t("layers.edit"), badge);
  const element = h("li", { class: "layer", "data-id": id }, h("div", { class: "layer-line" }, grip, select, renaming.element, eye, edit));

  /** @param {Event} event */
  function look(event) {
    const alone = /** @type {MouseEvent} */ (event).altKey;
    actions.run(alone ? showOnly(layer) : setVisible(layer, !layer.visible));
  }

  /** @param {HTMLElement} control @param {string} label @param {string} [title] */
  function label(control, label, title = label) {
    setAttribute(control, "aria-label", label);
    setAttribute(control, "title", title);
  }

  return {
    element,
    rename: () => renaming.begin(layer.name),
    focus: () => select.focus(),
    /** @param {import("../types.js").Layer} next @param {import("../types.js").State} state */
    render: (next, state) => {
      layer = next;
      thumb.draw(layer);
      setText(name, layer.name);
      setAttribute(select, "title", layer.name);
      version.hidden = layer.current === 0;
      setText(version, t("layers.version", { number: layer.current + 1 }));
      renderShare(share, layer);
      const selected = state.selected === layer.id;
      element.classList.toggle("selected", selected);
      element.classList.toggle("off", !layer.visible);
      element.classList.toggle("grouped", layer.group !== "");
      element.classList.toggle("working", isSplitting(state, layer.id));
      setAttribute(select, "aria-pressed", selected);
      setIcon(/** @type {SVGSVGElement} */ (eye.firstElementChild), layer.visible ? "eye" : "eyeOff");
      const looking = t(layer.visible ? "layers.hide" : "layers.show", { name: layer.name });
      label(eye, looking, t("layers.eyeHint", { label: looking }));
      setAttribute(eye, "aria-pressed", !layer.visible);
      renderBadge(badgeOf(state, layer));
      grip.title = t("layers.drag", { name: layer.name });
    },
  };

  /** @param {import("../state/edits.js").Badge | null} state */
  function renderBadge(state) {
    badge.hidden = state === null;
    setAttribute(badge, "data-state", state);
    const words = t("layers.editOf", { name: layer.name });
    label(edit, state === null ? words : t("layers.badged", { label: words, badge: t(`layers.badge.${state}`) }));
  }
}

/** @param {HTMLElement} share @param {import("../types.js").Layer} layer */
function renderShare(share, { coverage, opacity, blend }) {
  const empty = coverage < NEAR_EMPTY;
  const parts = [empty ? t("layers.nearEmpty") : percent(coverage)];
  if (opacity < 1) parts.push(percent(Math.round(opacity * 100) / 100));
  if (blend !== "normal") parts.push(t(`blend.${blend}`));
  setText(share, parts.join(" · "));
  share.classList.toggle("flag", empty);
  share.title = t(empty ? "layers.nearEmptyTitle" : "layers.coverageTitle");
}

/** A picture of what there is to see of a layer, cropped tightly. @param {import("../images/bitmaps.js").Bitmaps} bitmaps */
function createThumb(bitmaps) {
  const element = h("canvas", { class: "thumb-picture" });
  let drawn = "";
  return {
    element,
    /** @param {import("../types.js").Layer} layer */
    draw: ({ image, flipX, flipY }) => {
      element.style.transform = `scale(${flipX ? -1 : 1}, ${flipY ? -1 : 1})`;
      if (drawn === image) return;
      drawn = image;
      bitmaps.load(image).then(
        (bitmap) => {
          if (drawn === image) drawCrop(element, bitmap, grow(contentBox(bitmap), 0.04, bitmap), THUMB_PX);
        },
        () => (drawn = ""),
      );
    },
  };
}
