import { pixelsOf, sizeWithin } from "./pixels.js";

/** How often differences are doubled, because one 255th is invisible. */
const DOUBLINGS = 2;

/**
 * The difference of two drawings within a box, on black, so that transparency counts by its appearance. The second
 * drawing is given a black ground.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {HTMLCanvasElement} first
 * @param {CanvasRenderingContext2D} second
 * @param {Box} box
 */
export function drawDifference(context, first, second, { x, y, width, height }) {
  context.save();
  context.fillRect(x, y, width, height);
  context.drawImage(first, 0, 0);
  second.globalCompositeOperation = "destination-over";
  second.fillRect(x, y, width, height);
  context.globalCompositeOperation = "difference";
  context.drawImage(second.canvas, 0, 0);
  context.globalCompositeOperation = "lighter";
  for (let i = 0; i < DOUBLINGS; i += 1) context.drawImage(context.canvas, 0, 0);
  context.restore();
}

/**
 * How well a rebuilt picture matches the original: peak signal-to-noise ratio in dB (Infinity when equal) and the
 * largest difference of any channel, 0–255. Both are compared on black, at the size of the rebuilt one.
 *
 * @param {ImageBitmap | HTMLCanvasElement} original
 * @param {ImageBitmap | HTMLCanvasElement} rebuilt
 * @returns {Fidelity}
 */
export function compareImages(original, rebuilt) {
  const a = pixelsOf(original, rebuilt, true);
  const b = pixelsOf(rebuilt, rebuilt, true);
  let [sum, max] = [0, 0];
  for (let i = 0; i < a.length; i += 4) {
    for (let channel = i; channel < i + 3; channel += 1) {
      const difference = Math.abs(a[channel] - b[channel]);
      sum += difference * difference;
      if (difference > max) max = difference;
    }
  }
  const mse = sum / ((a.length / 4) * 3);
  const resampled = original.width !== rebuilt.width || original.height !== rebuilt.height;
  return { psnr: 10 * Math.log10(255 ** 2 / mse), max, resampled };
}

/** Large enough for a measurement, and fast. */
const SIDE_PX = 1024;
/** Levels of 255 within which two pixels count as equal, to ignore rounding. */
const SLACK = 2;

/** The share of differing pixels among those visible in either version. @param {ImageBitmap | HTMLCanvasElement} before @param {ImageBitmap | HTMLCanvasElement} after */
export function changedShare(before, after) {
  const size = sizeWithin(before, SIDE_PX);
  return shareOf(pixelsOf(before, size), pixelsOf(after, size));
}

/** @param {Uint8ClampedArray} a   RGBA @param {Uint8ClampedArray} b   of the same size */
export function shareOf(a, b) {
  let [seen, changed] = [0, 0];
  for (let i = 0; i < a.length; i += 4) {
    const [from, to] = [a[i + 3], b[i + 3]];
    if (from === 0 && to === 0) continue;
    seen += 1;
    // Colors are weighted by alpha, because those of nearly transparent pixels are arbitrary.
    const far = (/** @type {number} */ channel) => Math.abs(a[channel] * from - b[channel] * to) > SLACK * 255;
    if (Math.abs(from - to) > SLACK || far(i) || far(i + 1) || far(i + 2)) changed += 1;
  }
  return seen === 0 ? 0 : changed / seen;
}
