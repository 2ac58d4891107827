// @ts-check
/** @typedef {{x: number, y: number, width: number, height: number}} Box */

const SCRATCH = 192;
/** Pixels fainter than this do not count as content. */
const FAINT = 10;

/** @type {WeakMap<ImageBitmap, {box: Box, coverage: number}>} */
const measured = new WeakMap();

/**
 * Where a picture has something to see (in its own pixels), and its mean alpha; both from a small copy.
 * @param {ImageBitmap} bitmap
 */
export function measure(bitmap) {
  const known = measured.get(bitmap);
  if (known !== undefined) return known;
  const scale = Math.min(1, SCRATCH / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas2d(width, height, true);
  context.drawImage(bitmap, 0, 0, width, height);
  const found = scan(context.getImageData(0, 0, width, height).data, width, height);
  const [sx, sy] = [bitmap.width / width, bitmap.height / height];
  const box = { x: found.box.x * sx, y: found.box.y * sy, width: found.box.width * sx, height: found.box.height * sy };
  const result = { box, coverage: found.coverage };
  measured.set(bitmap, result);
  return result;
}

/**
 * @param {Uint8ClampedArray} data
 * @param {number} width
 * @param {number} height
 */
function scan(data, width, height) {
  let [left, top, right, bottom, sum] = [width, height, -1, -1, 0];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const alpha = data[(y * width + x) * 4 + 3];
      sum += alpha;
      if (alpha < FAINT) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
  }
  const empty = right < 0;
  const box = empty ? { x: 0, y: 0, width, height } : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
  return { box, coverage: sum / (width * height * 255) };
}

/**
 * The box grown by a share of its longer side, within the picture.
 * @param {Box} box
 * @param {number} share
 * @param {{width: number, height: number}} bounds
 * @returns {Box}
 */
export function grow(box, share, bounds) {
  const by = share * Math.max(box.width, box.height);
  const x = Math.max(0, box.x - by);
  const y = Math.max(0, box.y - by);
  return {
    x,
    y,
    width: Math.min(bounds.width, box.x + box.width + by) - x,
    height: Math.min(bounds.height, box.y + box.height + by) - y,
  };
}

/**
 * @param {Box} a
 * @param {Box} b
 * @returns {Box}
 */
export function union(a, b) {
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

/**
 * Fill a canvas with a part of a picture, at most `limit` pixels wide and high.
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} bitmap
 * @param {Box} box
 * @param {number} limit
 */
export function drawCrop(canvas, bitmap, box, limit) {
  const scale = Math.min(1, limit / Math.max(box.width, box.height));
  canvas.width = Math.max(1, Math.round(box.width * scale));
  canvas.height = Math.max(1, Math.round(box.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, box.x, box.y, box.width, box.height, 0, 0, canvas.width, canvas.height);
}

/**
 * A drawing surface that is not in the page.
 * @param {number} width
 * @param {number} height
 * @param {boolean} [willReadFrequently]
 */
export function canvas2d(width, height, willReadFrequently = false) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently }));
}
