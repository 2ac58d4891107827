// @ts-check
import { h, setText } from "../dom.js";
import { strings } from "../strings.js";
import { iconButton, segmented } from "./fields.js";

const text = strings.stage;
const STEP = 1.25;

/**
 * Layers, original or difference.
 * @param {import("../types.js").Actions} actions
 * @returns {import("../types.js").View}
 */
export function createModeBar(actions) {
  const modes = segmented({
    label: text.modesLabel,
    options: /** @type {[import("../types.js").Mode, string][]} */ (Object.entries(text.modes)),
    onpick: actions.show,
  });
  const hint = h("p", { class: "mode-hint" }, text.differenceHint);
  return {
    element: h("div", { class: "mode-bar" }, modes.element, hint),
    render: ({ mode }) => {
      modes.set(mode);
      hint.hidden = mode !== "difference";
    },
  };
}

/** @param {{zoomBy: (factor: number) => void, zoomTo: (scale: number) => void, toFit: () => void}} camera */
export function createZoomBar({ zoomBy, zoomTo, toFit }) {
  const scaleText = h("button", { class: "zoom-scale number", type: "button", title: text.zoomActual, onclick: () => zoomTo(1) });
  const fit = h("button", { class: "zoom-fit", type: "button", onclick: toFit }, text.zoomFit);
  const element = h(
    "div",
    { class: "zoom-bar" },
    iconButton("minus", text.zoomOut, () => zoomBy(1 / STEP)),
    scaleText,
    iconButton("plus", text.zoomIn, () => zoomBy(STEP)),
    fit,
  );
  /** @param {number} scale @param {boolean} fitted */
  const render = (scale, fitted) => {
    setText(scaleText, text.zoom(scale));
    fit.classList.toggle("on", fitted);
  };
  return { element, render };
}
