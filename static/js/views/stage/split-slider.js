import { h, setAttribute } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";

/** As near to the line a press takes hold of it. */
const NEAR_PX = 24;

/** A line between two pictures, moved by dragging or by the keys of a range field. @param {string} label @param {HTMLElement} view   what it lies over @param {() => void} onslide */
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
    /** Where it is, 0–1. */
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
