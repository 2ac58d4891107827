import { h } from "../../dom.js";
import { drawCrop } from "../../images/pixels.js";
import { settingsOf } from "../../state/initial.js";
import { atWork } from "../../state/jobs.js";

/** Where layers will be: as many as are asked for, with pictures of them as far as the engine shows what it makes. @param {Bitmaps} bitmaps */
export function createGhosts(bitmaps) {
  const element = h("div.ghosts", { "aria-hidden": "true" });
  let shown = "";

  /** A picture takes the place of the last one when it is there, so that nothing flickers. @param {Record<number, string>} previews   by layer, 1 at the bottom */
  function draw(previews) {
    for (const [index, ghost] of [...element.children].reverse().entries()) {
      const [url, canvas] = [previews[index + 1], ghost.querySelector("canvas")];
      if (url === undefined || canvas === null) continue;
      ghost.classList.add("seen");
      bitmaps.load(url).then((bitmap) => drawCrop(canvas, bitmap, { x: 0, y: 0, width: bitmap.width, height: bitmap.height }), () => {});
    }
  }

  return {
    element,
    /** @param {State} state @param {boolean} busy */
    render: (state, busy) => {
      const { layerNum } = settingsOf(state);
      const { previews = {} } = atWork(state, "decompose")[0] ?? {};
      const next = JSON.stringify([layerNum, previews]);
      element.classList.toggle("working", busy);
      if (next === shown) return;
      shown = next;
      if (element.children.length !== layerNum || Object.keys(previews).length === 0) {
        element.replaceChildren(...Array.from({ length: layerNum }, () => h("div.ghost", h("canvas.ghost-picture"))));
      }
      draw(previews);
    },
  };
}
