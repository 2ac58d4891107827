import { pixelsOf, sizeWithin } from "./pixels.js";

/** Measuring is worth it at this size, and quick. */
const SIDE_PX = 1024;
/** Steps of 255 that two pixels may differ by and still count as equal: rounding on the way is no change. */
const SLACK = 2;

/** How much of two versions differs: the share of the pixels that either of them shows. @param {ImageBitmap} before @param {ImageBitmap} after */
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
    // What is nearly transparent has no color to speak of: colors count by their alpha.
    const far = (/** @type {number} */ channel) => Math.abs(a[channel] * from - b[channel] * to) > SLACK * 255;
    if (Math.abs(from - to) > SLACK || far(i) || far(i + 1) || far(i + 2)) changed += 1;
  }
  return seen === 0 ? 0 : changed / seen;
}
