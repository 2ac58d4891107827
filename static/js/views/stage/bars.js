import { h, setAttribute, setText } from "../../dom.js";
import { percent, t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { STEP } from "../../images/camera.js";
import { iconButton, segmented } from "../shell/fields.js";

const MODES = /** @type {const} */ (["layers", "slider", "original", "difference"]);

/** Layers, original or difference; of two states that are compared, the one after, the one before or the difference. @param {Actions} actions */
export function createModeBar(actions) {
  const modes = segmented({
    label: t("stage.modesLabel"),
    options: MODES.map((mode) => [mode, t(`stage.mode.${mode}`)]),
    onpick: actions.show,
  });
  const [now, , then] = modes.element.querySelectorAll("span");
  const hint = h("p.mode-hint", t("stage.differenceHint"));
  return {
    element: h("div.mode-bar", modes.element, hint),
    /** @param {State} state @param {boolean} compares   whether it is states that are compared */
    render: ({ mode, measured }, compares) => {
      modes.set(mode);
      setText(now, t(compares ? "stage.mode.after" : "stage.mode.layers"));
      setText(then, t(compares ? "stage.mode.before" : "stage.mode.original"));
      hint.hidden = mode === "layers" || (mode === "slider" && measured === null);
      setText(hint, hintFor(mode, measured));
    },
  };
}

/** @param {{zoomBy: (factor: number) => void, zoomTo: (scale: number) => void, toFit: () => void}} viewport @param {readonly HTMLElement[]} [tools]   what else is at hand */
export function createZoomBar({ zoomBy, zoomTo, toFit }, tools = []) {
  const scaleText = h("button.zoom-scale.number", { title: t("stage.zoomActual"), onclick: () => zoomTo(1) });
  const fit = h("button.zoom-fit", { onclick: toFit }, t("stage.zoomFit"));
  return {
    element: h(
      "div.zoom-bar",
      iconButton("minus", t("stage.zoomOut"), () => zoomBy(1 / STEP)),
      scaleText,
      iconButton("plus", t("stage.zoomIn"), () => zoomBy(STEP)),
      fit,
      ...tools,
    ),
    /** @param {{readonly camera: Camera, readonly fitted: boolean}} viewport */
    render: ({ camera, fitted }) => {
      setText(scaleText, t("number.percent", { value: Math.round(camera.scale * 100) }));
      fit.classList.toggle("on", fitted);
    },
  };
}

/** @param {Mode} mode @param {Fidelity | null} measured */
function hintFor(mode, measured) {
  if (measured === null) return t("stage.differenceHint");
  if (measured.share !== undefined) {
    const share = measured.max === 0 ? t("stage.same") : t("stage.changed", { share: percent(measured.share) });
    return mode === "difference" ? t("stage.differenceMeasured", { figure: share }) : share;
  }
  const figure = measured.max === 0 ? t("layers.equal") : t("layers.differs", { max: measured.max, value: measured.psnr.toFixed(1) });
  return mode === "difference" ? t("stage.differenceMeasured", { figure }) : figure;
}

/** The distance at which a press grabs the line. */
const NEAR_PX = 24;

/** A line between two pictures, moved by dragging or by the keys of a range field. @param {string} label @param {HTMLElement} view   the view below it @param {() => void} onslide */
export function createParting(label, view, onslide) {
  const range = h("input.compare-range", {
    type: "range",
    min: "0",
    max: "100",
    step: "0.5",
    value: "50",
    "aria-label": label,
    oninput: onslide,
  });
  const handle = h("div.compare-handle", h("span", icon("compare")));

  /** @param {number} x   in CSS pixels of the view */
  function slideTo(x) {
    range.value = String((x / view.clientWidth) * 100);
    onslide();
  }

  return {
    elements: [range, handle],
    /** Its position, 0–1. */
    share: () => range.valueAsNumber / 100,
    slideTo,
    isNear: (/** @type {number} */ x) => Math.abs(x - (range.valueAsNumber / 100) * view.clientWidth) < NEAR_PX,
    /** @param {Point} point @returns {import("./gestures.js").Drag} */
    hold: ({ x }) => ({ drag: (by) => slideTo(x + by.x), end: () => {} }),
    /** @param {boolean} shown */
    render: (shown) => {
      range.hidden = handle.hidden = !shown;
      handle.style.left = `${range.valueAsNumber}%`;
      setAttribute(range, "aria-valuetext", t("number.percent", { value: Math.round(range.valueAsNumber) }));
    },
  };
}
