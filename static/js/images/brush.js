import { canvas2d } from "./pixels.js";

/**
 * Painting on the alpha of a layer's picture. What comes to be seen has the colors that the layer has there, or had first,
 * or those of the picture that it was taken from.
 */

/** How far apart the dabs of a stroke lie, in shares of its width. */
const SPACING = 0.1;

/**
 * A copy of a layer's picture to paint on.
 * @param {CanvasImageSource & Extent} picture   what is painted on; its size is that of the canvas
 * @returns {CanvasRenderingContext2D}
 */
export function copyOf(picture) {
  const context = canvas2d(picture.width, picture.height, true);
  context.drawImage(picture, 0, 0);
  return context;
}

/** The colors that a brush can bring back: one over the other, all at one size. @param {Extent} size @param {readonly CanvasImageSource[]} pictures   the lowest first */
export function colorsOf({ width, height }, pictures) {
  const context = canvas2d(width, height);
  for (const picture of pictures) context.drawImage(picture, 0, 0, width, height);
  return context.canvas;
}

/**
 * A stroke over a picture, dab by dab.
 * @param {CanvasRenderingContext2D} context   the picture, which is changed
 * @param {CanvasImageSource | null} colors   what comes to be seen, at the picture's size; null takes away instead
 * @param {{size: number, softness: number}} brush   the width in pixels of the picture, and how much of it fades, 0–1
 */
export function beginStroke(context, colors, { size, softness }) {
  /** @type {Point | null} */
  let last = null;
  const dab = canvas2d(1, 1);

  /** @param {Point} at @param {number} width */
  function put(at, width) {
    const radius = Math.max(0.5, width / 2);
    const gradient = (/** @type {CanvasRenderingContext2D} */ on, /** @type {number} */ x, /** @type {number} */ y) => {
      const fade = on.createRadialGradient(x, y, radius * (1 - softness) * 0.98, x, y, radius);
      fade.addColorStop(0, "#000");
      fade.addColorStop(0.5, `rgb(0 0 0 / ${1 - 0.7 * softness})`);
      fade.addColorStop(1, "transparent");
      return fade;
    };
    if (colors === null) {
      context.globalCompositeOperation = "destination-out";
      context.fillStyle = gradient(context, at.x, at.y);
      context.fillRect(at.x - radius, at.y - radius, 2 * radius, 2 * radius);
      return;
    }
    const [left, top, side] = [Math.floor(at.x - radius), Math.floor(at.y - radius), Math.ceil(2 * radius) + 1];
    Object.assign(dab.canvas, { width: side, height: side });
    dab.drawImage(colors, -left, -top);
    dab.globalCompositeOperation = "destination-in";
    dab.fillStyle = gradient(dab, at.x - left, at.y - top);
    dab.fillRect(0, 0, side, side);
    // Below what is there, so that what is half seen keeps its color.
    context.globalCompositeOperation = "destination-over";
    context.drawImage(dab.canvas, left, top);
  }

  /** Go on to a point. @param {Point} point   in pixels of the picture @param {number} pressure   0–1 */
  return (point, pressure) => {
    const width = size * (0.25 + 0.75 * pressure);
    const [from, step] = [last ?? point, Math.max(0.5, width * SPACING)];
    const length = Math.hypot(point.x - from.x, point.y - from.y);
    if (last !== null && length < step) return;
    const count = Math.max(1, Math.floor(length / step));
    for (let dabs = 1; dabs <= count; dabs += 1) {
      const share = last === null ? 1 : (dabs * step) / length;
      last = { x: from.x + (point.x - from.x) * Math.min(1, share), y: from.y + (point.y - from.y) * Math.min(1, share) };
      put(last, width);
    }
  };
}
