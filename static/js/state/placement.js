/** Where a layer lies in the picture. Its picture is mirrored within its own box, enlarged about the box's top left corner, and moved to x, y. */

export const SCALE_LIMITS = [0.01, 32];
/** As far as a layer can be moved, in pixels. */
export const OFFSET_LIMIT = 32_768;

/** A part of the layer's own picture, where it is seen. @param {Layer} layer @param {Box} box   in the layer's pixels @returns {Box} */
export function placeBox({ x, y, width, height, scale, flipX, flipY }, box) {
  const left = flipX ? width - box.x - box.width : box.x;
  const top = flipY ? height - box.y - box.height : box.y;
  return { x: x + left * scale, y: y + top * scale, width: box.width * scale, height: box.height * scale };
}

/**
 * The pixel of the layer's own picture that is seen at a point; it may lie outside of it.
 * @param {Layer} layer
 * @param {Point} point   in pixels of the document
 * @returns {Point}
 */
export function pixelAt({ x, y, width, height, scale, flipX, flipY }, point) {
  const [left, top] = [(point.x - x) / scale, (point.y - y) / scale];
  return { x: Math.floor(flipX ? width - left : left), y: Math.floor(flipY ? height - top : top) };
}

/**
 * The place of a layer that is enlarged to a scale while one point of it stays where it is.
 * @param {Layer} layer
 * @param {number} wanted
 * @param {Point} still   in pixels of the document
 * @returns {{scale: number, x: number, y: number}}
 */
export function scaleAbout({ x, y, scale: before }, wanted, still) {
  const scale = Math.min(SCALE_LIMITS[1], Math.max(SCALE_LIMITS[0], Math.round(wanted * 1e4) / 1e4));
  const ratio = scale / before;
  return { scale, x: toOffset(still.x - (still.x - x) * ratio), y: toOffset(still.y - (still.y - y) * ratio) };
}

/** The nearest offset that a layer can have: a whole number of pixels. @param {number} value */
export const toOffset = (value) => Math.min(OFFSET_LIMIT, Math.max(-OFFSET_LIMIT, Math.round(value))) || 0;

/**
 * The place of a picture that comes in as a layer: in the middle, made smaller when it is larger than the document.
 * @param {{width: number, height: number}} size
 * @param {{width: number, height: number}} doc
 */
export function placeInside(size, doc) {
  const scale = Math.min(1, doc.width / size.width, doc.height / size.height);
  return { scale, x: toOffset((doc.width - size.width * scale) / 2), y: toOffset((doc.height - size.height * scale) / 2) };
}
