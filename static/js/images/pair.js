import { PLAIN, withLayers } from "../state/doc.js";
import { fit } from "./camera.js";
import { contentBox, grow, union } from "./pixels.js";

/**
 * A version of a layer, or two of them, by themselves or in the picture.
 *
 * @typedef {object} Pair
 * @property {Doc} doc
 * @property {Layer} layer
 * @property {string} before            the picture of a version
 * @property {string | null} after
 * @property {"layer" | "picture"} where
 */

const MARGINS = { side: 16, top: 60, bottom: 60 };
/** A small thing is enlarged this much at most. */
const MOST = 8;
/** Of the height, what a margin may take. */
const SHARE = 0.2;

/** A document for each. @param {Pair} pair @returns {Doc[]} */
export function docsOf({ doc, layer, before, after, where }) {
  const { width, height } = layer;
  const alone = (/** @type {string} */ image) => withLayers({ ...doc, width, height }, [{ ...layer, ...PLAIN, image }]);
  const within = (/** @type {string} */ image) => withLayers(doc, doc.layers.map((other) => (other.id === layer.id ? { ...other, image, visible: true } : other)));
  return [before, after].filter((image) => image !== null).map(where === "layer" ? alone : within);
}

/** Whether two pairs are the same in all that is drawn. @param {Pair | null} a @param {Pair} b */
export const samePair = (a, b) => a !== null && /** @type {const} */ (["doc", "layer", "before", "after", "where"]).every((part) => a[part] === b[part]);

/**
 * All that there is to see, in the middle: of the picture, or of the layer's own content.
 * @param {Pair} pair
 * @param {{width: number, height: number}} extent
 * @param {Bitmaps} bitmaps
 */
export function cameraFor({ where, before, after, layer, doc }, extent, bitmaps) {
  const most = extent.height * SHARE;
  const margins = { ...MARGINS, top: Math.min(MARGINS.top, most), bottom: Math.min(MARGINS.bottom, most) };
  if (where === "picture") return fit(extent, doc, margins);
  const loaded = [before, after].map((image) => (image === null ? null : bitmaps.peek(image))).filter((bitmap) => bitmap !== null);
  if (loaded.length === 0) return fit(extent, layer, margins);
  const { x, y, width, height } = grow(loaded.map(contentBox).reduce(union), 0.04, loaded[0]);
  const factor = layer.width / loaded[0].width;
  const camera = fit(extent, { width: width * factor, height: height * factor }, margins, MOST);
  return { scale: camera.scale, x: camera.x - x * factor * camera.scale, y: camera.y - y * factor * camera.scale };
}
