/**
 * All keys: where they work, their description, and their command. Listeners call `commandOf`, the help shows all of
 * them, and docs/page.md has them as a table. A key is its modifiers, then its name in events; Ctrl includes ⌘. Keys
 * without a command belong to the browser or to a field. The last ones in a row are aliases and are not shown.
 *
 * @typedef {Record<string, string | null>} Keys
 * @typedef {readonly [words: Key, keys: Keys, more?: Keys]} Row
 * @type {{everywhere: Row[], picture: Row[], tool: Row[], layer: Row[], history: Row[], editing: Row[]}}
 */
export const KEYMAP = {
  everywhere: [
    ["help.paste", { "Ctrl V": null }],
    ["help.copy", { "Ctrl C": "copyLayer" }],
    ["help.copyAll", { "Ctrl Shift C": "copyPicture" }],
    ["help.run", { "Ctrl Enter": "run" }],
    ["help.undo", { "Ctrl Z": "undo" }],
    ["help.redo", { "Ctrl Shift Z": "redo" }, { "Ctrl Y": "redo" }],
    ["history.open", { Y: "history" }],
    ["jobs.title", { J: "jobs" }],
    ["help.help", { "?": "help" }],
  ],
  picture: [
    ["help.zoom", { "+": "zoomIn", "-": "zoomOut" }, { "=": "zoomIn" }],
    ["help.fit", { 0: "fit" }],
    ["help.actual", { 1: "actual" }],
    ["help.pan", { Space: null }],
    ["help.selectObject", { W: "select" }],
    ["help.brush", { B: "brush" }],
    ["help.slider", { S: "slider" }],
    ["help.original", { O: "original" }],
    ["help.difference", { D: "difference" }],
    ["help.nudge", { ArrowLeft: "left", ArrowUp: "up", ArrowRight: "right", ArrowDown: "down" }],
    ["help.nudgeFar", { "Shift ArrowLeft": "left", "Shift ArrowUp": "up", "Shift ArrowRight": "right", "Shift ArrowDown": "down" }],
  ],
  tool: [
    ["help.toolDone", { Enter: "finish" }],
    ["help.toolDown", { Escape: "down" }],
    ["help.toolOther", { X: "other" }],
    ["help.brushSize", { "[": "smaller", "]": "larger" }],
  ],
  layer: [
    ["help.select", { ArrowUp: "above", ArrowDown: "below" }],
    ["help.selectToo", { "Shift ArrowUp": "aboveToo", "Shift ArrowDown": "belowToo" }],
    ["help.selectAll", { "Ctrl A": "all" }],
    ["help.reorder", { "Alt ArrowUp": "raise", "Alt ArrowDown": "lower" }],
    ["help.group", { "Ctrl G": "group" }],
    ["help.ungroup", { "Ctrl Shift G": "ungroup" }],
    ["help.fold", { ArrowLeft: "fold", ArrowRight: "unfold" }],
    ["help.eye", { V: "eye" }],
    ["help.solo", { "Shift V": "solo" }],
    ["help.edit", { E: "edit" }],
    ["help.rename", { F2: "rename" }],
    ["help.duplicate", { "Ctrl D": "duplicate" }],
    ["help.flip", { H: "flipX" }, { "Shift H": "flipY" }],
    ["help.turn", { R: "turn" }, { "Shift R": "turnBack" }],
    ["help.turnABit", { "Alt Shift ArrowLeft": "turnBackABit", "Alt Shift ArrowRight": "turnABit" }],
    ["help.enlarge", { "Alt Shift ArrowUp": "larger", "Alt Shift ArrowDown": "smaller" }],
    ["help.delete", { Delete: "remove" }, { Backspace: "remove" }],
  ],
  history: [
    ["help.walk", { ArrowUp: "earlier", ArrowDown: "later" }],
    ["help.ends", { Home: "first", End: "last" }],
    ["help.compareState", { C: "compare" }],
    ["help.leave", { Escape: "close" }],
  ],
  editing: [
    ["edit.apply", { "Ctrl Enter": "apply" }],
    ["help.recall", { ArrowUp: null, ArrowDown: null }],
    ["help.accept", { A: "accept" }],
    ["help.add", { N: "add" }],
    ["help.retry", { R: "apply" }],
    ["help.discard", { Delete: "discard" }, { Backspace: "discard" }],
    ["help.before", { B: "peek" }, { Space: "peek" }],
    ["help.zoom", { "+": "zoomIn", "-": "zoomOut" }, { "=": "zoomIn" }],
    ["help.fit", { 0: "fit" }],
  ],
};

/** @type {Record<string, Keys>} */
const COMMANDS = Object.fromEntries(
  Object.entries(KEYMAP).map(([place, rows]) => [place, Object.assign({}, ...rows.flatMap(([, keys, more = {}]) => [keys, more]))]),
);

/** The command of a key in a place; Shift counts only if it makes a difference. @param {keyof typeof KEYMAP} place @param {KeyboardEvent} event */
export function commandOf(place, { key, ctrlKey, metaKey, altKey, shiftKey }) {
  const name = key === " " ? "Space" : key.length === 1 ? key.toUpperCase() : key;
  const modified = `${ctrlKey || metaKey ? "Ctrl " : ""}${altKey ? "Alt " : ""}`;
  return COMMANDS[place][`${modified}${shiftKey ? "Shift " : ""}${name}`] ?? COMMANDS[place][modified + name] ?? "";
}

const SIGNS = /** @type {Record<string, string>} */ ({ ArrowLeft: "←", ArrowUp: "↑", ArrowRight: "→", ArrowDown: "↓", "-": "−" });

/** The signs of a row's keys. @param {Keys} keys */
export function signsOf(keys) {
  const pressed = Object.keys(keys).map((each) => each.split(" "));
  return [...pressed[0].slice(0, -1), ...pressed.map((each) => SIGNS[each.at(-1) ?? ""] ?? each.at(-1))];
}
