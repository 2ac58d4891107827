// @ts-check
import { h, setText } from "../dom.js";
import { t } from "../i18n.js";
import { iconButton, segmented } from "./fields.js";

const STEP = 1.25;
const MODES = /** @type {const} */ (["layers", "original", "difference"]);

/**
 * Layers, original or difference.
 * @param {import("../types.js").Actions} actions
 * @returns {import("../types.js").View}
 */
export function createModeBar(actions) {
  const modes = segmented({
    label: t("stage.modesLabel"),
    options: MODES.map((mode) => [mode, t(`stage.mode.${mode}`)]),
    onpick: actions.show,
  });
  const hint = h("p", { class: "mode-hint" }, t("stage.differenceHint"));
  return {
    element: h("div", { class: "mode-bar" }, modes.element, hint),
    render: ({ mode, measured }) => {
      modes.set(mode);
      hint.hidden = mode === "layers";
      setText(hint, hintFor(mode, measured));
    },
  };
}

/** @param {{zoomBy: (factor: number) => void, zoomTo: (scale: number) => void, toFit: () => void}} camera */
export function createZoomBar({ zoomBy, zoomTo, toFit }) {
  const scaleText = h("button", { class: "zoom-scale number", type: "button", title: t("stage.zoomActual"), onclick: () => zoomTo(1) });
  const fit = h("button", { class: "zoom-fit", type: "button", onclick: toFit }, t("stage.zoomFit"));
  const element = h(
    "div",
    { class: "zoom-bar" },
    iconButton("minus", t("stage.zoomOut"), () => zoomBy(1 / STEP)),
    scaleText,
    iconButton("plus", t("stage.zoomIn"), () => zoomBy(STEP)),
    fit,
  );
  /** @param {number} scale @param {boolean} fitted */
  const render = (scale, fitted) => {
    setText(scaleText, t("number.percent", { value: Math.round(scale * 100) }));
    fit.classList.toggle("on", fitted);
  };
  return { element, render };
}

/** @param {import("../types.js").Mode} mode @param {import("../types.js").Fidelity | null} measured */
function hintFor(mode, measured) {
  if (measured === null) return t("stage.differenceHint");
  const figure = measured.max === 0 ? t("layers.equal") : t("layers.differs", { max: measured.max, value: measured.psnr.toFixed(1) });
  return mode === "difference" ? t("stage.differenceMeasured", { figure }) : figure;
}
