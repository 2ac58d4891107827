import { PLAIN, withLayers } from "../state/doc.js";
import { around } from "../state/transform.js";
import { createLevels } from "./bitmaps.js";
import { fit } from "./camera.js";
import { createCompositor } from "./compositor.js";
import { drawDifference } from "./difference.js";
import { canvas2d, contentBox, grow } from "./pixels.js";

/**
 * One or two versions of a layer, alone or in the picture.
 *
 * @typedef {object} Pair
 * @property {Doc} doc
 * @property {Layer} layer
 * @property {string} before            the picture of a version
 * @property {string | null} after
 * @property {string} [home]            the picture that determines the view, if not the one before
 * @property {"layer" | "picture"} where
 */

const MARGINS = { side: 16, top: 60, bottom: 60 };
/** The largest enlargement of small content. */
const MOST = 8;
/** The largest margin, relative to the height. */
const SHARE = 0.2;

/** A document for each. @param {Pair} pair @returns {Doc[]} */
export function docsOf({ doc, layer, before, after, where }) {
  const { width, height } = layer;
  const alone = (/** @type {string} */ image) => withLayers({ ...doc, width, height }, [{ ...layer, ...PLAIN, image }]);
  const within = (/** @type {string} */ image) =>
    withLayers(
      doc,
      doc.layers.map((other) => (other.id === layer.id ? { ...other, image, visible: true } : other)),
    );
  return [before, after].filter((image) => image !== null).map(where === "layer" ? alone : within);
}

/** Whether two pairs have the same drawing. @param {Pair | null} a @param {Pair} b */
export const samePair = (a, b) =>
  a !== null && /** @type {const} */ (["doc", "layer", "before", "after", "where"]).every((part) => a[part] === b[part]);

/**
 * A camera that shows the whole picture, or the layer's own content, centered.
 * @param {Pair} pair
 * @param {{width: number, height: number}} extent
 * @param {Bitmaps} bitmaps
 */
export function cameraFor({ where, before, after, layer, doc, home = before }, extent, bitmaps) {
  const most = extent.height * SHARE;
  const margins = { ...MARGINS, top: Math.min(MARGINS.top, most), bottom: Math.min(MARGINS.bottom, most) };
  if (where === "picture") return fit(extent, doc, margins);
  const loaded = [home, after].map((image) => (image === null ? null : bitmaps.peek(image))).filter((bitmap) => bitmap !== null);
  if (loaded.length === 0) return fit(extent, layer, margins);
  const { x, y, width, height } = grow(around(loaded.map(contentBox)), 0.04, loaded[0]);
  const factor = layer.width / loaded[0].width;
  const camera = fit(extent, { width: width * factor, height: height * factor }, margins, MOST);
  return { scale: camera.scale, x: camera.x - x * factor * camera.scale, y: camera.y - y * factor * camera.scale };
}

/**
 * Two documents side by side, under a slider, alternating, or as a difference. Each is drawn once per camera, at the
 * resolution of the screen; moving the slider only recombines the two drawings.
 *
 * @typedef {object} Scene
 * @property {Doc} before
 * @property {Doc | null} after
 * @property {string} touched    the layer that differs
 * @property {How} how
 * @property {Camera} camera     of each pane
 * @property {number} share      the slider's position, 0–1
 * @property {boolean} held      whether the one before is shown
 */

/** @param {Bitmaps} bitmaps @param {() => void} onready   called when something can be drawn more sharply */
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
      drawDifference(difference, first.canvas, second, {
        x: camera.x,
        y: camera.y,
        width: before.width * camera.scale,
        height: before.height * camera.scale,
      });
    },

    /** Copy the drawings to a canvas. @param {CanvasRenderingContext2D} context @param {Scene} scene */
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
