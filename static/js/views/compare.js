// @ts-check
import { h, setAttribute } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { contentBox, drawCrop, grow, union } from "../images/pixels.js";

const SHARP_PX = 1400;

/**
 * A picture, or two of them under a slider that parts before from after. The slider is a real one: arrow keys move it.
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createCompare(bitmaps) {
  let shown = "";
  const before = h("canvas", { class: "compare-picture" });
  const after = h("canvas", { class: "compare-picture" });
  const range = h("input", { type: "range", class: "compare-range", min: "0", max: "100", step: "0.5", value: "50", "aria-label": t("edit.compare") });
  const handle = h("div", { class: "compare-handle" }, h("span", {}, icon("compare")));
  const parts = [range, handle, h("span", { class: "compare-tag left" }, t("edit.before")), h("span", { class: "compare-tag right" }, t("edit.after"))];
  const element = h("figure", { class: "compare checkerboard" }, before, after, ...parts);

  function part() {
    const share = range.valueAsNumber;
    const both = !range.hidden;
    before.style.clipPath = both ? `inset(0 ${100 - share}% 0 0)` : "";
    after.style.clipPath = `inset(0 0 0 ${share}%)`;
    handle.style.left = `${share}%`;
    setAttribute(range, "aria-valuetext", `${Math.round(share)} %`);
  }
  range.addEventListener("input", part);

  /** @param {string} first @param {string | null} second */
  async function draw(first, second) {
    const [a, b] = await Promise.all([bitmaps.load(first), second === null ? null : bitmaps.load(second)]);
    if (shown !== `${first} ${second}`) return;
    const content = b === null ? contentBox(a) : union(contentBox(a), contentBox(b));
    const box = grow(content, 0.06, a);
    drawCrop(before, a, box, SHARP_PX);
    if (b !== null) drawCrop(after, b, box, SHARP_PX);
    after.hidden = b === null;
    for (const each of parts) each.hidden = b === null;
    range.value = "50";
    part();
  }

  return {
    element,
    /** Take the focus to the slider if there are two pictures. */
    focus: () => range.focus(),
    /** @param {string} first @param {string | null} second */
    show: (first, second) => {
      if (shown === `${first} ${second}`) return;
      shown = `${first} ${second}`;
      draw(first, second).catch(() => (shown = ""));
    },
  };
}
