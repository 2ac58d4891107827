// @ts-check
import { canvas2d } from "./pixels.js";

/**
 * How well a rebuilt picture matches the original: peak signal-to-noise ratio in dB (Infinity when equal) and the
 * largest difference of any channel, 0–255. Both are compared on black, at the size of the rebuilt one.
 *
 * @param {ImageBitmap} original
 * @param {ImageBitmap | HTMLCanvasElement} rebuilt
 * @returns {import("../types.js").Fidelity}
 */
export function compareImages(original, rebuilt) {
  const a = pixelsOnBlack(original, rebuilt.width, rebuilt.height);
  const b = pixelsOnBlack(rebuilt, rebuilt.width, rebuilt.height);
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

/**
 * @param {ImageBitmap | HTMLCanvasElement} bitmap
 * @param {number} width
 * @param {number} height
 */
function pixelsOnBlack(bitmap, width, height) {
  const context = canvas2d(width, height, true);
  context.imageSmoothingQuality = "high";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}
