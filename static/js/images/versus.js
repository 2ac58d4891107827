import { createCompositor } from "./compositor.js";
import { drawDifference } from "./difference.js";
import { createLevels } from "./levels.js";
import { canvas2d } from "./pixels.js";

/**
 * Two documents next to each other, under a slider, in turn, or as what differs. Each is drawn once for a camera, at the
 * resolution of the screen; a slider that moves only puts the two drawings together again.
 *
 * @typedef {object} Scene
 * @property {Doc} before
 * @property {Doc | null} after
 * @property {string} touched    the layer that differs
 * @property {How} how
 * @property {Camera} camera     of each pane
 * @property {number} share      where the slider parts the two, 0–1
 * @property {boolean} held      whether the one before is looked at
 */

/** @param {Bitmaps} bitmaps @param {() => void} onready   something can be drawn more sharply */
export function createVersus(bitmaps, onready) {
  const composite = createCompositor(bitmaps, createLevels(onready));
  const [first, second, difference] = [canvas2d(1, 1), canvas2d(1, 1), canvas2d(1, 1)];

  /** @param {CanvasRenderingContext2D} sheet @param {Doc} doc @param {Scene} scene @param {number} width @param {number} height */
  function draw(sheet, doc, { camera, touched }, width, height) {
    Object.assign(sheet.canvas, { width, height });
    composite(sheet, doc, camera, touched);
  }

  return {
    /** Redraw the documents. @param {Scene} scene @param {number} width   of a pane @param {number} height */
    prepare: (scene, width, height) => {
      draw(first, scene.before, scene, width, height);
      if (scene.after === null) return;
      draw(second, scene.after, scene, width, height);
      if (scene.how !== "difference") return;
      const { before, camera } = scene;
      Object.assign(difference.canvas, { width, height });
      drawDifference(difference, first.canvas, second, { x: camera.x, y: camera.y, width: before.width * camera.scale, height: before.height * camera.scale });
    },

    /** Put what was drawn onto a canvas. @param {CanvasRenderingContext2D} context @param {Scene} scene */
    show: (context, { after, how, share, held }) => {
      const { width, height } = context.canvas;
      context.clearRect(0, 0, width, height);
      const pane = (/** @type {CanvasRenderingContext2D} */ sheet, from = 0, to = width) => {
        if (to > from) context.drawImage(sheet.canvas, from, 0, to - from, height, from, 0, to - from, height);
      };
      if (after === null || held) return pane(first);
      if (how === "difference") return pane(difference);
      if (how === "blink") return pane(second);
      if (how === "slider") {
        const cut = Math.round(width * share);
        pane(first, 0, cut);
        return pane(second, cut);
      }
      context.drawImage(first.canvas, 0, 0);
      return context.drawImage(second.canvas, width - second.canvas.width, 0);
    },
  };
}
