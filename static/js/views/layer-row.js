// @ts-check
import { h, setAttribute, setSlider, setText } from "../dom.js";
import { icon, setIcon } from "../icons.js";
import { NEW_EDIT } from "../state/initial.js";
import { isEditing } from "../actions/edits.js";
import { contentBox, drawCrop, grow } from "../images/pixels.js";
import { strings } from "../strings.js";
import { iconButton } from "./fields.js";

const text = strings.layers;
const THUMB_PX = 128;
const KEYS_PAUSE_MS = 1000;

/**
 * One layer of the list. The selected one shows its opacity and where it can go.
 *
 * @param {string} id
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createLayerRow(id, actions, bitmaps) {
  let place = 0;
  let drawn = "";
  const thumb = h("canvas", { class: "thumb-picture" });
  const name = h("span", { class: "layer-name" });
  const version = h("span", { class: "version" });
  const share = h("span", { title: text.coverageTitle });
  const select = h(
    "button",
    { class: "layer-main", type: "button", onclick: () => actions.select(id), ondblclick: () => rename() },
    h("span", { class: "thumb checkerboard" }, thumb),
    h("span", { class: "layer-words" }, name, h("span", { class: "layer-facts hint number" }, version, share)),
  );
  const field = h("input", { class: "input rename", "aria-label": text.nameField, hidden: true, maxLength: 80 });
  const grip = h("span", { class: "grip", "data-grip": "" }, icon("grip"));
  const eye = iconButton("eye", "", () => actions.toggle(id));
  const badge = h("span", { class: "badge" });
  const edit = h("button", { class: "button small edit", type: "button", onclick: () => actions.openEdit(id) }, text.edit, badge);
  const slider = h("input", { type: "range", class: "slider", min: "0", max: "100", step: "1" });
  slider.addEventListener("input", () => actions.setOpacity(id, slider.valueAsNumber / 100));
  // A drag ends with the pointer; keys say "change" at every press, and belong together until they pause.
  slider.addEventListener("change", () => actions.endOpacity(KEYS_PAUSE_MS));
  slider.addEventListener("pointerup", () => actions.endOpacity());
  slider.addEventListener("blur", () => actions.endOpacity());
  const opacity = h("output", { class: "number" });
  const up = iconButton("up", "", () => actions.moveTo(id, place + 1));
  const down = iconButton("down", "", () => actions.moveTo(id, place - 1));
  const more = h("div", { class: "layer-more" }, h("span", { class: "hint" }, text.opacity), slider, opacity, up, down);
  const element = h("li", { class: "layer", "data-id": id }, h("div", { class: "layer-line" }, grip, select, field, eye, edit), more);

  function rename() {
    field.value = name.textContent ?? "";
    field.hidden = false;
    select.hidden = true;
    field.focus();
    field.select();
  }

  /** @param {boolean} keep */
  function endRename(keep) {
    if (field.hidden) return;
    field.hidden = true;
    select.hidden = false;
    if (keep) actions.rename(id, field.value.trim());
    select.focus();
  }
  field.addEventListener("blur", () => endRename(true));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") endRename(event.key === "Enter");
    event.stopPropagation();
  });

  /** @param {import("../types.js").Layer} layer */
  function drawThumb(layer) {
    if (drawn === layer.image) return;
    drawn = layer.image;
    bitmaps.load(layer.image).then(
      (bitmap) => {
        if (drawn === layer.image) drawCrop(thumb, bitmap, grow(contentBox(bitmap), 0.04, bitmap), THUMB_PX);
      },
      () => (drawn = ""),
    );
  }

  /** @param {HTMLElement} control @param {string} label */
  function label(control, label) {
    setAttribute(control, "aria-label", label);
    setAttribute(control, "title", label);
  }

  return {
    element,
    rename,
    focus: () => select.focus(),
    /** @param {import("../types.js").Layer} layer @param {import("../types.js").State} state @param {number} index */
    render: (layer, state, index) => {
      place = index;
      drawThumb(layer);
      setText(name, layer.name);
      setAttribute(select, "title", layer.name);
      version.hidden = layer.version === 1;
      setText(version, text.version(layer.version));
      setText(share, text.coverage(layer.coverage) + (layer.opacity < 1 ? ` · ${Math.round(layer.opacity * 100)} %` : ""));
      const selected = state.selected === layer.id;
      element.classList.toggle("selected", selected);
      element.classList.toggle("off", !layer.visible);
      setAttribute(select, "aria-pressed", selected);
      setAttribute(select, "aria-label", text.select(layer.name));
      setIcon(/** @type {SVGSVGElement} */ (eye.firstElementChild), layer.visible ? "eye" : "eyeOff");
      label(eye, (layer.visible ? text.hide : text.show)(layer.name));
      setAttribute(eye, "aria-pressed", !layer.visible);
      renderBadge(layer, state.edits[layer.id] ?? NEW_EDIT);
      more.hidden = !selected;
      setSlider(slider, Math.round(layer.opacity * 100));
      setAttribute(slider, "aria-label", text.opacityOf(layer.name));
      setText(opacity, `${Math.round(layer.opacity * 100)} %`);
      label(up, text.up(layer.name));
      label(down, text.down(layer.name));
      up.disabled = index === state.project.layers.length - 1;
      down.disabled = index === 0;
      // At an end of the stack the focus goes to the button that still works.
      if (document.activeElement === up && up.disabled) down.focus();
      if (document.activeElement === down && down.disabled) up.focus();
      grip.title = text.drag(layer.name);
    },
  };

  /** @param {import("../types.js").Layer} layer @param {import("../types.js").Edit} draft */
  function renderBadge(layer, draft) {
    const state = isEditing(draft) ? "running" : draft.result !== null ? "ready" : draft.error !== null ? "failed" : null;
    badge.hidden = state === null;
    setAttribute(badge, "data-state", state);
    const words = state === null ? "" : `, ${text.badges[state]}`;
    label(edit, text.editOf(layer.name) + words);
  }
}
