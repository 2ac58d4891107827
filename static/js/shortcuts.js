import { isTyping } from "./dom.js";
import { zoomCommands } from "./images/camera.js";
import { commandOf } from "./keymap.js";
import { showOnly } from "./state/commands.js";
import { findLayer } from "./state/doc.js";
import { resized } from "./state/initial.js";

const NUDGES = /** @type {Record<string, [number, number]>} */ ({ left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] });
const FAR = 10;
const GROWTH = 1.02;

/**
 * Keys that work wherever the focus is, except in text fields and under a modal.
 *
 * @param {Store} store
 * @param {Actions} actions
 * @param {ReturnType<typeof import("./views/stage/stage.js").createStage>} stage
 * @param {ReturnType<typeof import("./views/layers/stack.js").createStack>} layers
 */
export function listenToKeys(store, actions, stage, layers) {
  const selected = () => findLayer(store.state.doc, store.state.selected);
  const showing = (/** @type {Mode} */ mode) => () => actions.show(store.state.mode === mode ? "layers" : mode);

  /** @type {Record<string, () => void>} */
  const commands = { run: actions.decompose, undo: actions.undo, redo: actions.redo, history: () => actions.walk(!store.state.walking) };

  /** @type {Record<string, () => void>} */
  const pictureCommands = {
    ...zoomCommands(stage),
    actual: () => stage.zoomTo(1),
    select: () => store.state.doc.width > 0 && actions.takeTool("select"),
    brush: () => actions.takeTool("brush"),
    slider: showing("slider"),
    original: showing("original"),
    difference: showing("difference"),
  };

  /** @type {Record<string, () => void>} */
  const toolCommands = {
    finish: actions.finishTool,
    down: actions.putToolDown,
    other: () => actions.setTool({ takesAway: !store.state.tool?.takesAway }),
    smaller: () => resizeBrush(1 / 1.25),
    larger: () => resizeBrush(1.25),
  };

  /** @param {number} by */
  function resizeBrush(by) {
    const { tool } = store.state;
    if (tool?.kind === "brush") actions.setTool({ size: resized(tool.size, by) });
  }

  const partOf = (/** @type {Layer} */ { id, name }) => /** @type {const} */ ({ kind: "layer", key: id, name });

  /** The commands that are already loaded. @returns {Record<string, (layer: Layer) => void>} */
  const layerCommands = () => ({
    copyLayer: actions.copyLayer,
    copyPicture: actions.copyPicture,
    above: () => selectBy(1),
    below: () => selectBy(-1),
    group: actions.group,
    ungroup: actions.ungroup,
    raise: (layer) => actions.step(partOf(layer), 1),
    lower: (layer) => actions.step(partOf(layer), -1),
    aboveToo: () => selectBy(1, true),
    belowToo: () => selectBy(-1, true),
    all: () => actions.selectThese(store.state.doc.layers.map(({ id }) => id)),
    eye: actions.toggle,
    solo: (layer) => actions.run(showOnly(layer)),
    edit: ({ id }) => actions.openEdit(id),
    rename: (layer) => layers.rename(partOf(layer)),
    duplicate: actions.duplicate,
    flipX: (layer) => actions.flip(layer, "flipX"),
    flipY: (layer) => actions.flip(layer, "flipY"),
    turn: (layer) => actions.turn(layer, 15),
    turnBack: (layer) => actions.turn(layer, -15),
    turnABit: (layer) => actions.turn(layer, 1),
    turnBackABit: (layer) => actions.turn(layer, -1),
    larger: (layer) => actions.enlarge(layer, GROWTH),
    smaller: (layer) => actions.enlarge(layer, 1 / GROWTH),
    remove: actions.remove,
  });

  /** Commands on a selected group, instead of its topmost layer. @type {Record<string, (group: Part) => void>} */
  const groupCommands = {
    raise: (group) => actions.step(group, 1),
    lower: (group) => actions.step(group, -1),
    fold: ({ key }) => actions.fold(key, true),
    unfold: ({ key }) => actions.fold(key, false),
    eye: ({ key }) => actions.toggleGroup(key),
    rename: layers.rename,
    duplicate: ({ key }) => actions.duplicateGroup(key),
    remove: ({ key }) => actions.removeGroup(key),
  };

  /** @param {number} by @param {boolean} [besides]   what is selected already */
  function selectBy(by, besides = false) {
    if (besides) actions.selectNextToo(by);
    else actions.selectBy(by);
    const part = actions.partAtHand();
    if (part !== null) layers.focus(part);
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  function actionFor(event) {
    const command = commandOf("everywhere", event);
    if (isTyping(event)) return command === "run" ? commands.run : undefined;
    return commands[command] ?? toolActionFor(event) ?? layerActionFor(event, command) ?? pictureCommands[commandOf("picture", event)];
  }

  /** Enter on a button is the button's. @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  function toolActionFor(event) {
    if (store.state.tool === null || (event.key === "Enter" && event.target instanceof HTMLButtonElement)) return undefined;
    return toolCommands[commandOf("tool", event)];
  }

  /** @param {KeyboardEvent} event @param {string} command @returns {(() => void) | undefined} */
  function layerActionFor(event, command) {
    const layer = selected();
    if (layer === null || !layers.isHere()) return undefined;
    const nudge = stage.hasFocus() ? NUDGES[commandOf("picture", event)] : undefined;
    if (nudge !== undefined) {
      const by = event.shiftKey ? FAR : 1;
      return () => actions.nudge(layer, nudge[0] * by, nudge[1] * by);
    }
    // Selected text takes precedence for copying; arrows belong to focused sliders and choices.
    if (command.startsWith("copy") && !getSelection()?.isCollapsed) return undefined;
    if (event.target instanceof HTMLInputElement && event.key.startsWith("Arrow") && !event.altKey) return undefined;
    const name = command || commandOf("layer", event);
    const part = actions.partAtHand();
    if (part?.kind === "group" && groupCommands[name] !== undefined) return () => groupCommands[name](part);
    const act = layerCommands()[name];
    return act && (() => act(layer));
  }

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const action = actionFor(event);
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
