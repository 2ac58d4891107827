// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { icon, setIcon } from "../icons.js";
import { strings } from "../strings.js";
import { iconButton } from "./fields.js";
import { engineState } from "../state/engine.js";
import { nextTheme, themeOf } from "./theme.js";

/**
 * @param {import("../types.js").Actions} actions
 * @param {{openEngine: () => void, openHelp: () => void}} dialogs
 * @returns {import("../types.js").View}
 */
export function createHeader(actions, { openEngine, openHelp }) {
  const engineText = h("span", { class: "engine-text" });
  const device = h("span", { class: "device" });
  const engine = h("button", { class: "engine", type: "button", onclick: openEngine }, h("span", { class: "dot" }), engineText, device);
  const queue = h("span", { class: "queue number" });
  const undo = iconButton("undo", strings.header.undo, actions.undo);
  const redo = iconButton("redo", strings.header.redo, actions.redo);
  const theme = iconButton(themeOf(), strings.header.theme[themeOf()], () => {
    const choice = nextTheme();
    setIcon(/** @type {SVGSVGElement} */ (theme.firstElementChild), choice);
    name(theme, strings.header.theme[choice]);
  });
  theme.classList.add("theme");
  const help = iconButton("help", strings.header.help, openHelp);

  const element = h(
    "header",
    { class: "header" },
    h("div", { class: "brand" }, icon("logo"), h("h1", {}, strings.name)),
    h("div", { class: "header-end" }, engine, queue, undo, redo, theme, help),
  );

  return {
    element,
    render: ({ status, reachable, past, future }) => {
      const { first, second, full } = engineWords(status, reachable);
      setText(engineText, first);
      setText(device, second);
      engine.dataset.state = LOOKS[engineState(status, reachable)];
      name(engine, `${full}. ${strings.header.engineTitle}`);
      const length = (status?.queue.length ?? 0) + (status?.queue.running ?? 0);
      queue.hidden = length === 0 || !reachable;
      setText(queue, strings.header.queue(length));
      undo.disabled = past.length === 0;
      redo.disabled = future.length === 0;
      name(undo, undo.disabled ? strings.header.undo : strings.header.undoStep(past[past.length - 1].label));
      name(redo, redo.disabled ? strings.header.redo : strings.header.redoStep(future[future.length - 1].label));
    },
  };
}

/** @type {Record<import("../state/engine.js").EngineState, "ready" | "wait" | "gone">} */
const LOOKS = { ready: "ready", loading: "wait", unknown: "wait", failed: "gone", unreachable: "gone" };

/**
 * What the chip says: `first` always, `second` where there is room, `full` to screen readers and under the pointer.
 * @param {import("../types.js").Status | null} status
 * @param {boolean} reachable
 */
function engineWords(status, reachable) {
  const text = strings.header;
  if (!reachable) return { first: text.engineGone, second: "", full: text.engineGone };
  if (status === null) return { first: text.engineUnknown, second: "", full: text.engineUnknown };
  const [label, ...device] = status.engine_label.split(" · ");
  if (status.state === "ready") {
    return { first: label, second: device.map((part) => ` · ${part}`).join(""), full: status.engine_label };
  }
  const state = status.state === "failed" ? text.engineFailed : text.engineLoading;
  return { first: state, second: ` · ${label}`, full: text.engineNamed(state, label) };
}

/** @param {Element} element @param {string} label */
function name(element, label) {
  setAttribute(element, "aria-label", label);
  setAttribute(element, "title", label);
}
