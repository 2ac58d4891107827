// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { segmented } from "./fields.js";
import { holdable } from "./hold.js";

/** @typedef {import("../types.js").How} How */

const WAYS = /** @type {const} */ (["slider", "blink", "difference", "side"]);

/**
 * What lies over two versions that are compared: the way of it, their names, the slider, the button that blinks.
 * @param {{onpick: (how: How) => void, onslide: () => void, onhold: (on: boolean) => void}} on
 */
export function createCompareBars({ onpick, onslide, onhold }) {
  const range = h("input", { type: "range", class: "compare-range", min: "0", max: "100", step: "0.5", value: "50", "aria-label": t("compare.label"), oninput: onslide });
  const handle = h("div", { class: "compare-handle" }, h("span", {}, icon("compare")));
  const ways = segmented({ label: t("compare.ways"), options: WAYS.map((how) => [how, t(`compare.${how}`)]), onpick });
  const bar = h("div", { class: "compare-ways" }, ways.element);
  const hold = h("button", { class: "button small compare-hold", type: "button" }, t("compare.hold"));
  const note = h("p", { class: "compare-note number" });
  const [left, right] = ["left", "right"].map((side) => h("span", { class: `compare-tag ${side}` }));
  holdable(hold, onhold);

  return {
    elements: [range, handle, left, right, note, hold, bar],
    range,
    /** Where the slider is, 0–1. */
    share: () => range.valueAsNumber / 100,
    /** @param {number} share */
    slideTo: (share) => {
      range.value = String(share * 100);
      onslide();
    },
    /**
     * @param {{how: How, two: boolean, held: boolean, names: readonly [string, string], changed: string | null}} shown
     */
    render: ({ how, two, held, names, changed }) => {
      const one = !two || held ? 0 : how === "blink" ? 1 : null;
      const both = one === null && how !== "difference";
      range.hidden = handle.hidden = !both || how !== "slider";
      handle.style.left = `${range.valueAsNumber}%`;
      setAttribute(range, "aria-valuetext", t("number.percent", { value: Math.round(range.valueAsNumber) }));
      left.hidden = !both && one !== 0;
      right.hidden = !both && one !== 1;
      setText(left, names[0]);
      setText(right, names[1]);
      ways.set(how);
      bar.hidden = !two;
      hold.hidden = !two || how !== "blink";
      hold.classList.toggle("on", held);
      note.hidden = !two || how !== "difference" || held;
      setText(note, changed === null ? t("compare.amplified") : t("compare.changed", { share: changed }));
    },
  };
}
