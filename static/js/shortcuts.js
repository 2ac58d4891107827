import { isTyping } from "./dom.js";
import { flip, setVisible, showOnly } from "./state/commands.js";
import { findLayer, indexOf } from "./state/doc.js";
import { zoomKeys } from "./views/stage/viewport.js";

const STEPS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});
const FAR = 10;

/**
 * Keys that work wherever the focus is, except in text fields and under a modal.
 *
 * @param {Store} store
 * @param {Actions} actions
 * @param {ReturnType<typeof import("./views/stage/stage.js").createStage>} stage
 * @param {ReturnType<typeof import("./views/layers/list.js").createLayerList>} layers
 */
export function listenToKeys(store, actions, stage, layers) {
  const selected = () => findLayer(store.state.doc, store.state.selected);
  const showing = (/** @type {Mode} */ mode) => () => actions.show(store.state.mode === mode ? "layers" : mode);

  /** @type {Record<string, () => void>} */
  const keys = {
    ...zoomKeys(stage),
    1: () => stage.zoomTo(1),
    s: showing("slider"),
    o: showing("original"),
    d: showing("difference"),
  };

  /** @type {Record<string, (layer: Layer) => void>} */
  const layerKeys = {
    ArrowUp: () => selectBy(1),
    ArrowDown: () => selectBy(-1),
    v: (layer) => actions.run(setVisible(layer, !layer.visible)),
    V: (layer) => actions.run(showOnly(layer)),
    e: ({ id }) => actions.openEdit(id),
    h: (layer) => actions.run(flip(layer, "flipX")),
    H: (layer) => actions.run(flip(layer, "flipY")),
    F2: ({ id }) => layers.rename(id),
    Delete: actions.remove,
    Backspace: actions.remove,
  };

  /** @param {number} by */
  function selectBy(by) {
    actions.selectBy(by);
    if (store.state.selected !== null) layers.focus(store.state.selected);
  }

  /** @param {number} by */
  function moveBy(by) {
    const layer = selected();
    if (layer !== null) actions.reorder(layer, indexOf(store.state.doc, layer.id) + by);
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  function command(event) {
    const key = event.key.toLowerCase();
    const layer = selected();
    if (key === "enter") return actions.decompose;
    if (key === "z") return event.shiftKey ? actions.redo : actions.undo;
    if (key === "y") return actions.redo;
    if (key === "d" && layer !== null) return () => actions.duplicate(layer);
    if (key !== "c" || !getSelection()?.isCollapsed || layer === null) return undefined;
    if (event.shiftKey) return actions.copyPicture;
    return () => actions.copyLayer(layer);
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  function actionFor(event) {
    const { key } = event;
    if (event.ctrlKey || event.metaKey) return isTyping(event) && key !== "Enter" ? undefined : command(event);
    if (isTyping(event)) return undefined;
    if (event.altKey) return key === "ArrowUp" ? () => moveBy(1) : key === "ArrowDown" ? () => moveBy(-1) : undefined;
    const layer = selected();
    const step = STEPS[key];
    if (step !== undefined && layer !== null && stage.hasFocus()) {
      const by = event.shiftKey ? FAR : 1;
      return () => actions.nudge(layer, step[0] * by, step[1] * by);
    }
    // Arrows belong to sliders and choices that have the focus.
    const onField = event.target instanceof HTMLInputElement && step !== undefined;
    const act = layerKeys[key] ?? layerKeys[key.toLowerCase()];
    if (layer !== null && !onField && act !== undefined) return () => act(layer);
    return keys[key] ?? keys[key.toLowerCase()];
  }

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const action = actionFor(event);
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
