import { h, setAttribute, setLabel, setText } from "../../dom.js";
import { layerCount, percent, t } from "../../i18n.js";
import { icon, setIcon } from "../../icons.js";
import { contentBox, coverageIn, drawCrop, grow } from "../../images/pixels.js";
import { rename, setVisible, showOnly } from "../../state/commands.js";
import { BY_HAND, groupOf, isShown } from "../../state/doc.js";
import { groupAtHand, groupPart } from "../../state/groups.js";
import { atWork } from "../../state/initial.js";
import { badgeOf } from "../../state/results.js";
import { createRename } from "../shell/fields.js";

/** A layer that covers less of its own picture is empty: `LEAST` of src/llm_dit/evaluation.py, whose sentence stands above. */
const NEAR_EMPTY = 0.0001;

/**
 * One layer of the list. The selected one contains the panel with its actions.
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
    { onclick: pick, ondblclick: () => renaming.begin(layer.name) },
    h("span.visually-hidden", t("layers.select")),
    h("span.thumb.checkerboard", thumb.element),
    h("span.layer-words", name, h("span.layer-facts.hint.number", version, share)),
  );
  const renaming = createRename({ label: t("layers.nameField"), stands: select, onname: (text) => actions.run(rename(layer, text)) });
  const grip = h("span.grip", { "data-grip": "" }, icon("grip"));
  const eye = h("button.icon-button.eye", { onclick: look }, icon("eye"));
  const badge = h("span.badge");
  const edit = h("button.button.small.edit", { onclick: () => actions.openEdit(id) }, t("layers.edit"), badge);
  const element = h(
    "li.layer",
    { "data-id": id, onpointerenter: light, onpointerleave: light },
    h("div.layer-line", grip, select, renaming.element, eye, edit),
  );

  /** @param {Event} event */
  function pick(event) {
    const { shiftKey, ctrlKey, metaKey } = /** @type {MouseEvent} */ (event);
    if (ctrlKey || metaKey) actions.selectToo(id);
    else if (shiftKey) actions.selectTo(id);
    else actions.select(id);
  }

  /** Highlight the layer on the stage. @param {Event} event */
  function light({ type }) {
    actions.pointAt(type === "pointerenter" ? id : null);
  }

  /** @param {Event} event */
  function look(event) {
    const alone = /** @type {MouseEvent} */ (event).altKey;
    actions.run(alone ? showOnly(layer) : setVisible([layer], !layer.visible));
  }

  return {
    element,
    rename: () => renaming.begin(layer.name),
    focus: () => select.focus(),
    anchor: select,
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
      const selected = (state.selected === layer.id || state.also.includes(layer.id)) && groupAtHand(state) === null;
      element.classList.toggle("selected", selected);
      element.classList.toggle("off", !isShown(state.doc, layer));
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

/** The line above a group: fold, eye, and its name; if selected, it contains a panel, too. @param {string} label @param {Actions} actions */
export function createGroupRow(label, actions) {
  const { name } = groupPart(label);
  /** @type {Group} */
  let group;
  let folded = false;
  const facts = h("span.hint.number");
  const fold = h("button.group-fold", { onclick: () => actions.fold(label, !folded) }, icon("chevron"));
  const select = h(
    "button.group-main",
    { onclick: () => actions.selectPart(groupPart(label)), ondblclick: () => renaming.begin(name), title: name },
    h("span.visually-hidden", t("layers.selectGroup")),
    h("span.layer-name", name),
    facts,
  );
  const renaming = createRename({ label: t("layers.groupField"), stands: select, onname: (text) => actions.renameGroup(label, text) });
  const eye = h("button.icon-button.eye", { onclick: () => actions.toggleGroup(label) }, icon("eye"));
  const grip = h("span.grip", { "data-grip": "", title: t("layers.drag", { name }) }, icon("grip"));
  const element = h("li.group", h("div.group-line", grip, fold, select, renaming.element, eye));
  return {
    element,
    rename: () => renaming.begin(name),
    focus: () => select.focus(),
    anchor: select,
    /** @param {number} count   of the layers in it @param {State} state */
    render: (count, state) => {
      group = groupOf(state.doc, label);
      folded = state.folded.includes(label);
      const selected = groupAtHand(state)?.key === label;
      const { opacity, blend, visible } = group;
      const shows = [opacity < 1 && percent(Math.round(opacity * 100) / 100), blend !== "pass-through" && t(`blend.${blend}`)];
      setText(facts, [layerCount(count), ...shows.filter(Boolean)].join(" · "));
      element.classList.toggle("folded", folded);
      element.classList.toggle("selected", selected);
      element.classList.toggle("off", !visible);
      setAttribute(fold, "aria-expanded", !folded);
      setLabel(fold, t(folded ? "layers.unfold" : "layers.fold", { name }));
      setAttribute(select, "aria-pressed", selected);
      setIcon(/** @type {SVGSVGElement} */ (eye.firstElementChild), visible ? "eye" : "eyeOff");
      setLabel(eye, t(visible ? "layers.hide" : "layers.show", { name }));
      setAttribute(eye, "aria-pressed", !visible);
    },
  };
}

const MARGIN = 0.04;

/** A thumbnail of a layer's visible content, cropped tightly. @param {Bitmaps} bitmaps */
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
