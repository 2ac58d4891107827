import { matrixOf, placeBox } from "../state/doc.js";

const SCRATCH = 192;
const THUMB_PX = 128;
/** Pixels fainter than this do not count as content. */
const FAINT = 10;

/** Rows that are read at once, so that a large picture does not take its size in memory. */
const BAND = 256;

/** The box of a picture's visible content in its own pixels, measured on a small copy. */
export const contentBox = remembering((bitmap) => {
  const { alpha, size } = alphaOf(bitmap);
  const found = scan(alpha, size);
  const [sx, sy] = [bitmap.width / size.width, bitmap.height / size.height];
  return { x: found.x * sx, y: found.y * sy, width: found.width * sx, height: found.height * sy };
});

/** A layer's visible content, in its own pixels, if its picture is loaded: that may have another size. @param {Layer} layer @param {Bitmaps} bitmaps @returns {import("../state/transform.js").Part} */
export function partOf(layer, bitmaps) {
  const bitmap = bitmaps.peek(layer.image);
  if (bitmap === null) return { layer, box: { x: 0, y: 0, width: layer.width, height: layer.height } };
  const [box, sx, sy] = [contentBox(bitmap), layer.width / bitmap.width, layer.height / bitmap.height];
  return { layer, box: { x: box.x * sx, y: box.y * sy, width: box.width * sx, height: box.height * sy } };
}

/** The alpha of a picture, 0–255, at a small size. */
const alphaOf = remembering((bitmap) => {
  const size = sizeWithin(bitmap, SCRATCH);
  const pixels = pixelsOf(bitmap, size);
  return { size, alpha: Uint8Array.from({ length: size.width * size.height }, (_, i) => pixels[i * 4 + 3]) };
});

/** Cache a measurement per picture. @template T @param {(bitmap: ImageBitmap) => T} find @returns {(bitmap: ImageBitmap) => T} */
function remembering(find) {
  /** @type {WeakMap<ImageBitmap, T>} */
  const known = new WeakMap();
  return (bitmap) => known.get(bitmap) ?? /** @type {T} */ (known.set(bitmap, find(bitmap)).get(bitmap));
}

/** The mean alpha of a picture, of all its pixels, 0–1. @param {ImageBitmap | HTMLCanvasElement} bitmap */
export function coverageOf(bitmap) {
  const context = canvas2d(bitmap.width, Math.min(BAND, bitmap.height), true);
  let sum = 0;
  for (let top = 0; top < bitmap.height; top += BAND) {
    const rows = Math.min(BAND, bitmap.height - top);
    context.clearRect(0, 0, bitmap.width, rows);
    context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    const { data } = context.getImageData(0, 0, bitmap.width, rows);
    for (let i = 3; i < data.length; i += 4) sum += data[i];
  }
  return sum / (bitmap.width * bitmap.height * 255);
}

/** From this share of equal neighboring pixels up, a picture is a drawing without grain. */
const DRAWN = 0.8;
/** The size for that measurement, and the tolerance for equal pixels in levels of 255. */
const [MEASURED, ALIKE] = [1024, 1];
/** The least share of nearby pairs with a small difference, at a size without grain; flat areas have none, edges larger ones. */
const SHADED = 0.25;
const [WITHOUT_GRAIN, WAY] = [128, 4];
const A_LITTLE = [4, 32];

/** Whether a picture is a photograph or a painting: it has grain and shading, where drawings are flat or smooth. @param {HTMLImageElement} image */
export function isPhotograph(image) {
  if (shareApart(image, MEASURED, 1, [-1, ALIKE]) >= DRAWN) return false;
  return shareApart(image, WITHOUT_GRAIN, WAY, A_LITTLE) >= SHADED;
}

/**
 * The share of pairs of pixels, at a distance along a row or column, whose largest difference is within bounds.
 * @param {HTMLImageElement} image
 * @param {number} side   at which it is measured
 * @param {number} way
 * @param {readonly number[]} bounds   above the first, up to the second, in levels of 255
 */
function shareApart(image, side, way, [above, most]) {
  const size = sizeWithin({ width: image.naturalWidth, height: image.naturalHeight }, side);
  const pixels = pixelsOf(image, size);
  let [count, within] = [0, 0];
  for (let y = 0; y < size.height; y += 1) {
    for (let x = 0; x < size.width; x += 1) {
      const at = (y * size.width + x) * 4;
      for (const [fits, step] of /** @type {const} */ ([
        [x >= way, 4 * way],
        [y >= way, 4 * way * size.width],
      ])) {
        if (!fits) continue;
        const off = (/** @type {number} */ c) => Math.abs(pixels[at + c] - pixels[at + c - step]);
        const largest = Math.max(off(0), off(1), off(2));
        count += 1;
        if (largest > above && largest <= most) within += 1;
      }
    }
  }
  return within / Math.max(count, 1);
}

/** @param {Uint8Array} alpha @param {Extent} size @returns {Box} */
function scan(alpha, { width, height }) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (alpha[y * width + x] < FAINT) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
  }
  const empty = right < 0;
  return empty ? { x: 0, y: 0, width, height } : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

/**
 * The box, grown relative to its longer side, within the picture.
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

/** Fill a canvas with a part of a picture, no larger than a thumbnail. @param {HTMLCanvasElement} canvas @param {ImageBitmap} bitmap @param {Box} box */
export function drawCrop(canvas, bitmap, box) {
  Object.assign(canvas, sizeWithin(box, THUMB_PX));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, box.x, box.y, box.width, box.height, 0, 0, canvas.width, canvas.height);
}

/** The size that fits into a square, never enlarged. @param {Extent} size @param {number} side @returns {Extent} */
export function sizeWithin({ width, height }, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** A picture's RGBA at a size. @param {ImageBitmap | HTMLCanvasElement | HTMLImageElement} bitmap @param {Extent} size @param {boolean} [onBlack] */
export function pixelsOf(bitmap, { width, height }, onBlack = false) {
  const context = canvas2d(width, height, true);
  context.imageSmoothingQuality = "high";
  if (onBlack) context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** A gray picture as alpha: white is opaque, black transparent. @param {ImageBitmap} gray @returns {HTMLCanvasElement} */
export function maskOf(gray) {
  const context = canvas2d(gray.width, gray.height, true);
  context.drawImage(gray, 0, 0);
  const pixels = context.getImageData(0, 0, gray.width, gray.height);
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i];
  context.putImageData(pixels, 0, 0);
  return context.canvas;
}

/** A drawing surface that is not in the page. @param {number} width @param {number} height @param {boolean} [willReadFrequently] */
export function canvas2d(width, height, willReadFrequently = false) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently }));
}

/**
 * The share of the document that a layer covers, 0–1: its mean alpha, by its position and size; parts outside
 * of the document do not count.
 *
 * @param {Layer} layer
 * @param {Extent} doc
 * @param {ImageBitmap | null} bitmap   of the layer, if loaded; needed for parts outside
 */
export function coverageIn(layer, doc, bitmap) {
  const whole = (layer.coverage * layer.width * layer.height * layer.scale ** 2 * layer.stretch) / (doc.width * doc.height);
  const box = placeBox(layer, { x: 0, y: 0, width: layer.width, height: layer.height });
  const inside = box.x >= 0 && box.y >= 0 && box.x + box.width <= doc.width && box.y + box.height <= doc.height;
  return Math.min(1, inside || bitmap === null ? whole : whole * shareInside(layer, doc, alphaOf(bitmap)));
}

/**
 * The share of a layer's alpha that lies within the document.
 * @param {Layer} layer
 * @param {Extent} doc
 * @param {{alpha: Uint8Array, size: Extent}} small   the layer's alpha at a small size
 */
export function shareInside(layer, doc, { alpha, size }) {
  const [a, b, c, d, e, f] = matrixOf(layer);
  const [stepX, stepY] = [layer.width / size.width, layer.height / size.height];
  let [sum, inside] = [0, 0];
  for (let row = 0; row < size.height; row += 1) {
    const v = (row + 0.5) * stepY;
    for (let column = 0; column < size.width; column += 1) {
      const value = alpha[row * size.width + column];
      const u = (column + 0.5) * stepX;
      const [across, down] = [a * u + c * v + e, b * u + d * v + f];
      sum += value;
      if (down >= 0 && down < doc.height && across >= 0 && across < doc.width) inside += value;
    }
  }
  return sum === 0 ? 0 : inside / sum;
}
