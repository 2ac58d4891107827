// @ts-check
import { isTyping } from "./dom.js";

/**
 * Keys that work wherever the focus is, except in text fields and under a modal.
 *
 * @param {import("./types.js").Store} store
 * @param {import("./types.js").Actions} actions
 * @param {ReturnType<typeof import("./views/stage.js").createStage>} stage
 * @param {ReturnType<typeof import("./views/layer-list.js").createLayerList>} layers
 * @param {() => void} openHelp
 */
export function listenToKeys(store, actions, stage, layers, openHelp) {
  /** @type {Record<string, () => void>} */
  const keys = {
    "?": openHelp,
    "+": () => stage.zoomBy(1.25),
    "=": () => stage.zoomBy(1.25),
    "-": () => stage.zoomBy(0.8),
    0: () => stage.toFit(),
    1: () => stage.zoomTo(1),
    o: () => actions.show(store.state.mode === "original" ? "layers" : "original"),
    d: () => actions.show(store.state.mode === "difference" ? "layers" : "difference"),
  };

  /** @type {Record<string, (id: string) => void>} */
  const layerKeys = {
    ArrowUp: () => selectBy(1),
    ArrowDown: () => selectBy(-1),
    v: actions.toggle,
    e: actions.openEdit,
    F2: layers.rename,
  };

  /** @param {number} by */
  function selectBy(by) {
    actions.selectBy(by);
    if (store.state.selected !== null) layers.focus(store.state.selected);
  }

  /** @param {number} by */
  function moveBy(by) {
    const { selected, project } = store.state;
    if (selected !== null) actions.moveTo(selected, project.layers.findIndex((layer) => layer.id === selected) + by);
  }

  /** @param {KeyboardEvent} event */
  function command(event) {
    const key = event.key.toLowerCase();
    if (key === "enter") return actions.decompose;
    if (key === "z") return event.shiftKey ? actions.redo : actions.undo;
    return key === "y" ? actions.redo : undefined;
  }

  /** @param {KeyboardEvent} event */
  function actionFor(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) return isTyping(event) && key !== "Enter" ? undefined : command(event);
    if (isTyping(event)) return undefined;
    if (event.altKey) return key === "ArrowUp" ? () => moveBy(1) : key === "ArrowDown" ? () => moveBy(-1) : undefined;
    const { selected } = store.state;
    // Arrows belong to sliders and choices that have the focus.
    const onField = event.target instanceof HTMLInputElement && key.startsWith("Arrow");
    if (selected !== null && !onField && layerKeys[key]) return () => layerKeys[key](selected);
    return keys[key];
  }

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const action = actionFor(event);
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
