import { h } from "../dom.js";
import { drawCrop } from "../images/pixels.js";
import { atWork } from "../state/jobs.js";

/** Where layers will be: as many as are asked for, with pictures of them as far as the engine shows what it makes. @param {Bitmaps} bitmaps */
export function createGhosts(bitmaps) {
  const element = h("div.ghosts", { "aria-hidden": "true" });
  let shown = "";

  /** @param {number} count @param {Record<number, string>} previews   by layer, 1 at the bottom */
  function build(count, previews) {
    element.replaceChildren(
      ...Array.from({ length: count }, (_, index) => {
        const url = previews[count - index];
        const canvas = h("canvas.ghost-picture");
        if (url) bitmaps.load(url).then((bitmap) => drawCrop(canvas, bitmap, { x: 0, y: 0, width: bitmap.width, height: bitmap.height }), () => {});
        return h("div", { class: url ? "ghost seen" : "ghost" }, canvas);
      }),
    );
  }

  return {
    element,
    /** @param {State} state @param {boolean} busy */
    render: (state, busy) => {
      const { layerNum } = state.settings;
      const { previews = {} } = atWork(state, "decompose")[0] ?? {};
      const next = JSON.stringify([layerNum, previews]);
      element.classList.toggle("working", busy);
      if (next === shown) return;
      shown = next;
      build(layerNum, previews);
    },
  };
}
