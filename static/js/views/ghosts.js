// @ts-check
import { h } from "../dom.js";
import { drawCrop } from "../images/pixels.js";

const PREVIEW_PX = 128;

/**
 * Where layers will be: as many as are asked for, with pictures of them as far as the engine shows what it makes.
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createGhosts(bitmaps) {
  const element = h("div", { class: "ghosts", "aria-hidden": "true" });
  let shown = "";

  /** @param {number} count @param {Record<number, string>} previews   by layer, 1 at the bottom */
  function build(count, previews) {
    element.replaceChildren(
      ...Array.from({ length: count }, (_, index) => {
        const url = previews[count - index];
        const canvas = h("canvas", { class: "ghost-picture" });
        if (url) bitmaps.load(url).then((bitmap) => drawCrop(canvas, bitmap, { x: 0, y: 0, width: bitmap.width, height: bitmap.height }, PREVIEW_PX), () => {});
        return h("div", { class: url ? "ghost seen" : "ghost" }, canvas);
      }),
    );
  }

  return {
    element,
    /** @param {import("../types.js").State} state @param {boolean} busy */
    render: ({ settings, jobs }, busy) => {
      const job = Object.values(jobs).find(({ purpose }) => purpose.kind === "decompose");
      const next = JSON.stringify([settings.layerNum, job?.previews]);
      element.classList.toggle("working", busy);
      if (next === shown) return;
      shown = next;
      build(settings.layerNum, job?.previews ?? {});
    },
  };
}
