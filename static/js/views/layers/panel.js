import { h, setAttribute, setLabel, setSlider, setText, setValue } from "../../dom.js";
import { percent, t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { flip, moveTo, resetPlace, scaleTo, setBlend, setOpacity, showOnly } from "../../state/commands.js";
import { groupOf, PLAIN } from "../../state/doc.js";
import { belowOf, layerPart, setGroup, stepOf } from "../../state/groups.js";
import { fold, iconButton, uniqueId } from "../shell/fields.js";
import { menuButton } from "../shell/menu.js";

/**
 * What can be done with the selected layer: there is one, which moves from row to row.
 *
 * @param {Actions} actions
 * @param {(id: string) => void} rename
 */
export function createLayerPanel(actions, rename) {
  /** @type {Layer} */
  let layer;
  const look = createLook(actions, {
    part: () => layerPart(layer),
    fade: (opacity) => setOpacity(layer, opacity),
    mix: (mode) => setBlend(layer, /** @type {Blend} */ (mode)),
    menu: (doc) => layerMenu(layer, doc, actions, () => rename(layer.id)),
  });
  const placing = createPlacing(actions, () => layer);
  const element = h("div.layer-more", ...look.elements, placing.element);

  return {
    element,
    /** @param {Layer} next @param {State} state */
    render: (next, state) => {
      layer = next;
      look.render(layer, state.config?.limits.blend_modes ?? [layer.blend], state);
      placing.render(layer);
      if (state.placing !== layer.id) return;
      placing.show();
      actions.placed();
    },
  };
}

/** What can be done with the selected group. @param {Actions} actions @param {(label: string) => void} rename */
export function createGroupPanel(actions, rename) {
  /** @type {Part} */
  let part;
  const look = createLook(actions, {
    part: () => part,
    fade: (opacity) => setGroup(part.key, { opacity }),
    mix: (blend) => setGroup(part.key, { blend }),
    menu: () => groupMenu(part.key, actions, () => rename(part.key)),
  });
  const element = h("div.layer-more", ...look.elements);
  return {
    element,
    /** @param {Part} next @param {State} state */
    render: (next, state) => {
      part = next;
      const group = groupOf(state.doc, part.key);
      look.render(group, ["pass-through", ...(state.config?.limits.blend_modes ?? [])], state);
    },
  };
}

/**
 * Opacity, blend mode and place in the stack, of a layer or of a group.
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
  // A drag ends with the pointer; keys say "change" at every press, and belong together until they pause.
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

/** @param {Actions} actions @param {() => Layer} layer */
function createPlacing(actions, layer) {
  const x = numberField(t("layers.x"), t("number.pixels"), actions.endKeys, (value) => actions.run(moveTo(layer(), value, layer().y)));
  const y = numberField(t("layers.y"), t("number.pixels"), actions.endKeys, (value) => actions.run(moveTo(layer(), layer().x, value)));
  const scale = numberField(t("layers.scale"), "%", actions.endKeys, (value) =>
    actions.run(scaleTo(layer(), value / 100, { x: layer().x, y: layer().y })),
  );
  const across = iconButton("flipX", t("layers.flipX"), () => actions.run(flip(layer(), "flipX")));
  const over = iconButton("flipY", t("layers.flipY"), () => actions.run(flip(layer(), "flipY")));
  const reset = h("button.button.small", { onclick: () => actions.run(resetPlace(layer())) }, icon("reset"), t("layers.reset"));
  const fields = h("div.placing", x.element, y.element, scale.element);
  const tools = h("div.layer-tools", across, over, reset);
  const element = fold(h("span", t("layers.place")), fields, tools);
  return {
    element,
    /** Open it. The window that it was asked for in gives the focus back first, and on a phone the keyboard would cover it. */
    show: () => {
      element.open = true;
      requestAnimationFrame(() => {
        element.scrollIntoView({ block: "nearest" });
        if (!matchMedia("(pointer: coarse)").matches) scale.focus();
      });
    },
    /** @param {Layer} shown */
    render: (shown) => {
      x.set(shown.x);
      y.set(shown.y);
      scale.set(Math.round(shown.scale * 1000) / 10);
      setAttribute(across, "aria-pressed", shown.flipX);
      setAttribute(over, "aria-pressed", shown.flipY);
      const keys = /** @type {const} */ (["x", "y", "scale", "flipX", "flipY"]);
      reset.disabled = keys.every((key) => shown[key] === PLAIN[key]);
    },
  };
}

/** A number under its name; what is no number is left alone. @param {string} label @param {string} unit @param {() => void} onchange @param {(value: number) => void} onnumber */
function numberField(label, unit, onchange, onnumber) {
  const id = uniqueId("number");
  const oninput = () => Number.isFinite(input.valueAsNumber) && onnumber(input.valueAsNumber);
  const input = h("input.input.number", { id, type: "number", step: "any", autocomplete: "off", onchange, oninput });
  const element = h("div.number-field", h("label.hint", { for: id }, `${label} (${unit})`), input);
  /** @param {number} value */
  const set = (value) => {
    if (input.valueAsNumber !== value && !(document.activeElement === input && input.value === "")) setValue(input, String(value));
  };
  return { element, set, focus: () => input.select() };
}

/**
 * What else can be done with a layer.
 * @param {Layer} layer
 * @param {Doc} doc
 * @param {Actions} actions
 * @param {() => void} rename
 * @returns {import("../shell/menu.js").Entry[]}
 */
function layerMenu(layer, doc, actions, rename) {
  return [
    { label: t("layers.rename"), icon: "pencil", key: "F2", run: rename },
    { label: t("layers.duplicate"), icon: "duplicate", key: "Ctrl D", run: () => actions.duplicate(layer) },
    { label: t("layers.solo"), icon: "eye", key: "Shift V", run: () => actions.run(showOnly(layer)) },
    { label: t("layers.makeGroup"), icon: "folder", key: "Ctrl G", run: actions.group },
    "",
    { label: t("layers.brush"), icon: "brush", key: "B", run: () => actions.takeTool("brush") },
    { label: t("layers.split"), icon: "split", run: () => actions.splitLayer(layer) },
    { label: t("layers.merge"), icon: "merge", disabled: belowOf(doc, layer) === null, run: () => actions.mergeDown(layer) },
    "",
    { label: t("layers.copy"), icon: "copy", key: "Ctrl C", run: () => actions.copyLayer(layer) },
    { label: t("layers.save"), icon: "download", run: () => actions.saveLayer(layer) },
    "",
    { label: t("layers.delete"), icon: "trash", key: "Del", danger: true, run: () => actions.remove(layer) },
  ];
}

/** @param {string} label @param {Actions} actions @param {() => void} rename @returns {import("../shell/menu.js").Entry[]} */
function groupMenu(label, actions, rename) {
  return [
    { label: t("layers.rename"), icon: "pencil", key: "F2", run: rename },
    { label: t("layers.duplicate"), icon: "duplicate", key: "Ctrl D", run: () => actions.duplicateGroup(label) },
    { label: t("layers.makeGroup"), icon: "folder", key: "Ctrl G", run: actions.group },
    "",
    { label: t("layers.mergeGroup"), icon: "merge", run: () => actions.mergeGroup(label) },
    { label: t("layers.ungroup"), icon: "folderOpen", key: "Ctrl Shift G", run: actions.ungroup },
    "",
    { label: t("layers.delete"), icon: "trash", key: "Del", danger: true, run: () => actions.removeGroup(label) },
  ];
}
