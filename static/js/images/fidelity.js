import { pixelsOf } from "./pixels.js";

/**
 * How well a rebuilt picture matches the original: peak signal-to-noise ratio in dB (Infinity when equal) and the
 * largest difference of any channel, 0–255. Both are compared on black, at the size of the rebuilt one.
 *
 * @param {ImageBitmap} original
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
