import { h, setAttribute, setLabel, setSlider, setText } from "../../dom.js";
import { layerCount, percent, t } from "../../i18n.js";
import { setBlend, setOpacity, showOnly } from "../../state/commands.js";
import { groupOf, selectionOf } from "../../state/doc.js";
import { belowOf, groupAtHand, layerPart, setGroup, stepOf } from "../../state/groups.js";
import { fold, iconButton } from "../shell/fields.js";
import { menuButton } from "../shell/menu.js";

/**
 * The panel of the selected layer: there is only one, which moves from row to row.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @param {(id: string) => void} rename
 */
export function createLayerPanel(actions, bitmaps, rename) {
  /** @type {Layer} */
  let layer;
  const look = createLook(actions, {
    part: () => layerPart(layer),
    fade: (opacity) => setOpacity(layer, opacity),
    mix: (mode) => setBlend(layer, /** @type {Blend} */ (mode)),
    menu: (doc) => layerMenu(layer, doc, actions, () => rename(layer.id)),
  });
  const placing = createPlace(actions, bitmaps);
  const element = h("div.layer-more", ...look.elements, placing.element);

  return {
    element,
    /** @param {Layer} next @param {State} state */
    render: (next, state) => {
      layer = next;
      look.render(layer, state.config?.limits.blend_modes ?? [layer.blend], state);
      placing.render(state);
      if (state.placing !== layer.id) return;
      placing.show();
      actions.placed();
    },
  };
}

/** The panel of the selected group. @param {Actions} actions @param {Bitmaps} bitmaps @param {(label: string) => void} rename */
export function createGroupPanel(actions, bitmaps, rename) {
  /** @type {Part} */
  let part;
  const look = createLook(actions, {
    part: () => part,
    fade: (opacity) => setGroup(part.key, { opacity }),
    mix: (blend) => setGroup(part.key, { blend }),
    menu: () => groupMenu(part.key, actions, () => rename(part.key)),
  });
  const placing = createPlace(actions, bitmaps);
  const element = h("div.layer-more", ...look.elements, placing.element);
  return {
    element,
    /** @param {Part} next @param {State} state */
    render: (next, state) => {
      part = next;
      const group = groupOf(state.doc, part.key);
      look.render(group, ["pass-through", ...(state.config?.limits.blend_modes ?? [])], state);
      placing.render(state);
    },
  };
}

/**
 * Opacity, blend mode and stack position of a layer or a group.
 *
 * @param {Actions} actions
 * @param {object} about
 * @param {() => Part} about.part
 * @param {(opacity: number) => Command} about.fade
 * @param {(mode: Group["blend"]) => Command} about.mix
 * @param {(doc: Doc) => import("../shell/menu.js").Entry[]} about.menu
 */
function createLook(actions, { part, fade, mix, menu }) {
  /** @type {State} */
  let state;
  // A drag ends with the pointer; keys send "change" at every press, and are one gesture until a pause.
  const slider = h("input.slider", {
    type: "range",
    min: "0",
    max: "100",
    step: "1",
    oninput: () => actions.run(fade(slider.valueAsNumber / 100)),
    onchange: actions.endKeys,
    onpointerup: actions.endGesture,
    onblur: actions.endGesture,
  });
  const opacity = h("output.number");
  const blend = h("select.input.select", {
    onchange: () => {
      actions.run(mix(/** @type {Group["blend"]} */ (blend.value)));
      actions.endKeys();
    },
  });
  const up = iconButton("up", "", () => actions.step(part(), 1));
  const down = iconButton("down", "", () => actions.step(part(), -1));
  const more = menuButton(
    iconButton("more", "", () => {}),
    () => ({ label: t("layers.more", { name: part().name }), entries: menu(state.doc) }),
  );

  /** @param {readonly Group["blend"][]} modes */
  function offer(modes) {
    if (modes.length !== blend.options.length || modes[0] !== blend.options[0].value)
      blend.replaceChildren(...modes.map((mode) => h("option", { value: mode }, t(`blend.${mode}`))));
  }

  return {
    elements: [h("div.layer-tools", h("span.hint", t("layers.opacity")), slider, opacity), h("div.layer-tools", blend, up, down, more)],
    /** @param {{opacity: number, blend: Group["blend"]}} look @param {readonly Group["blend"][]} modes @param {State} next */
    render: (look, modes, next) => {
      state = next;
      const { name } = part();
      setSlider(slider, Math.round(look.opacity * 100));
      setAttribute(slider, "aria-label", t("layers.opacityOf", { name }));
      setText(opacity, percent(Math.round(look.opacity * 100) / 100));
      offer(modes);
      if (blend.value !== look.blend) blend.value = look.blend;
      setLabel(blend, t("layers.blendOf", { name }));
      setLabel(up, t("layers.up", { name }));
      setLabel(down, t("layers.down", { name }));
      setLabel(more, t("layers.more", { name }));
      up.disabled = stepOf(state.doc, part(), 1, state.folded) === null;
      down.disabled = stepOf(state.doc, part(), -1, state.folded) === null;
      // At an end of the stack the focus goes to the button that still works.
      if (document.activeElement === up && up.disabled) down.focus();
      if (document.activeElement === down && down.disabled) up.focus();
    },
  };
}

/** Position and size, whose fields are loaded on first use. @param {Actions} actions @param {Bitmaps} bitmaps */
function createPlace(actions, bitmaps) {
  /** @type {ReturnType<typeof import("./placing.js").createPlacing> | null} */
  let placing = null;
  /** @type {State | null} */
  let state = null;
  const element = fold(h("span", t("layers.place")));
  element.addEventListener("toggle", bring, { once: true });

  async function bring() {
    if (placing === null) {
      const { createPlacing } = await import("./placing.js");
      // It may have been requested again in the meantime.
      if (placing === null) {
        placing = createPlacing(actions, bitmaps);
        element.append(...placing.elements);
      }
    }
    if (state !== null) placing.render(state);
  }

  return {
    element,
    /** Open it. The requesting window returns the focus first, and on a phone the keyboard would cover it. */
    show: async () => {
      element.open = true;
      await bring();
      requestAnimationFrame(() => {
        element.scrollIntoView({ block: "nearest" });
        if (!matchMedia("(pointer: coarse)").matches) placing?.focus();
      });
    },
    /** @param {State} next */
    render: (next) => {
      state = next;
      if (element.open) placing?.render(next);
    },
  };
}

/**
 * The further actions on a layer.
 * @param {Layer} layer
 * @param {Doc} doc
 * @param {Actions} actions
 * @param {(() => void) | null} rename   null where there is no place for a name
 * @returns {import("../shell/menu.js").Entry[]}
 */
function layerMenu(layer, doc, actions, rename) {
  return [
    ...renaming(rename),
    { label: t("layers.duplicate"), icon: "duplicate", key: "Ctrl D", run: () => actions.duplicate(layer) },
    { label: t("layers.solo"), icon: "eye", key: "Shift V", run: () => actions.run(showOnly(layer)) },
    { label: t("layers.makeGroup"), icon: "folder", key: "Ctrl G", run: actions.group },
    "",
    { label: t("layers.brush"), icon: "brush", key: "B", run: () => actions.takeTool("brush") },
    { label: t("layers.split"), icon: "split", run: () => actions.splitLayer(layer) },
    { label: t("layers.harmonize"), about: t("layers.harmonize.about"), icon: "compare", run: () => actions.harmonize(layer, false) },
    { label: t("layers.harmonizeShadow"), icon: "compare", run: () => actions.harmonize(layer, true) },
    { label: t("layers.merge"), icon: "merge", disabled: belowOf(doc, layer) === null, run: () => actions.mergeDown(layer) },
    "",
    { label: t("layers.copy"), icon: "copy", key: "Ctrl C", run: () => actions.copyLayer(layer) },
    { label: t("layers.save"), icon: "download", run: () => actions.saveLayer(layer) },
    ...(actions.canShare()
      ? [{ label: t("layers.share"), icon: /** @type {const} */ ("share"), run: () => actions.shareLayer(layer) }]
      : []),
    "",
    { label: t("layers.delete"), icon: "trash", key: "Del", danger: true, run: () => actions.remove(layer) },
  ];
}

/**
 * The actions on the selection, for its context menu.
 * @param {State} state
 * @param {Layer} layer   the main one
 * @param {Actions} actions
 * @param {(() => void) | null} rename   null where there is no place for a name
 * @param {readonly Layer[]} [before]   the previous selection
 */
export function selectionMenu(state, layer, actions, rename, before = []) {
  const group = groupAtHand(state);
  const layers = selectionOf(state);
  const several = group === null && layers.length > 1;
  const common = several
    ? severalMenu(layer, actions)
    : group
      ? groupMenu(group.key, actions, rename)
      : layerMenu(layer, state.doc, actions, rename);
  return {
    label: t("layers.more", { name: several ? layerCount(layers.length) : (group ?? layer).name }),
    entries: [
      // A finger has no other way to select several.
      ...(group || before.length === 0
        ? []
        : [{ label: t("layers.selectToo"), run: () => actions.selectThese([...before.map(({ id }) => id), layer.id]) }]),
      ...(several || group
        ? []
        : [{ label: t("layers.edit"), icon: /** @type {const} */ ("pencil"), key: "E", run: () => actions.openEdit(layer.id) }]),
      { label: t("layers.flipX"), icon: /** @type {const} */ ("flipX"), key: "H", run: () => actions.flip(layer, "flipX") },
      { label: t("layers.flipY"), icon: /** @type {const} */ ("flipY"), key: "Shift H", run: () => actions.flip(layer, "flipY") },
      { label: t("layers.quarter"), icon: /** @type {const} */ ("redo"), run: () => actions.turn(layer, 90) },
      { label: t("canvas.selection"), icon: /** @type {const} */ ("select"), run: () => actions.fitCanvas(layers) },
      "",
      ...common,
    ],
  };
}

/** @param {Layer} layer @param {Actions} actions @returns {import("../shell/menu.js").Entry[]} */
const severalMenu = (layer, actions) => [
  { label: t("layers.duplicate"), icon: "duplicate", key: "Ctrl D", run: () => actions.duplicate(layer) },
  { label: t(layer.visible ? "layers.hideAll" : "layers.showAll"), icon: "eye", key: "V", run: () => actions.toggle(layer) },
  { label: t("layers.makeGroup"), icon: "folder", key: "Ctrl G", run: actions.group },
  "",
  { label: t("layers.delete"), icon: "trash", key: "Del", danger: true, run: () => actions.remove(layer) },
];

/** @param {(() => void) | null} rename @returns {import("../shell/menu.js").Entry[]} */
const renaming = (rename) => (rename === null ? [] : [{ label: t("layers.rename"), icon: "pencil", key: "F2", run: rename }]);

/** @param {string} label @param {Actions} actions @param {(() => void) | null} rename @returns {import("../shell/menu.js").Entry[]} */
function groupMenu(label, actions, rename) {
  return [
    ...renaming(rename),
    { label: t("layers.duplicate"), icon: "duplicate", key: "Ctrl D", run: () => actions.duplicateGroup(label) },
    { label: t("layers.makeGroup"), icon: "folder", key: "Ctrl G", run: actions.group },
    "",
    { label: t("layers.mergeGroup"), icon: "merge", run: () => actions.mergeGroup(label) },
    { label: t("layers.ungroup"), icon: "folderOpen", key: "Ctrl Shift G", run: actions.ungroup },
    "",
    { label: t("layers.delete"), icon: "trash", key: "Del", danger: true, run: () => actions.removeGroup(label) },
  ];
}
