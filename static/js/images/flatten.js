import { newLayer } from "../state/doc.js";
import { drawLayer } from "./compositor.js";
import { canvas2d, sizeWithin } from "./pixels.js";

/**
 * Layers as one picture of the document's size.
 * @param {readonly Layer[]} layers   bottom to top
 * @param {{width: number, height: number}} doc
 * @param {Bitmaps} bitmaps
 * @param {number} [limit]   pixels of the longer side
 */
export async function flatten(layers, doc, bitmaps, limit = Infinity) {
  const shown = layers.filter((layer) => layer.visible);
  const pictures = await Promise.all(shown.map((layer) => bitmaps.load(layer.image)));
  const size = sizeWithin(doc, limit);
  const context = canvas2d(size.width, size.height);
  context.imageSmoothingQuality = "high";
  context.scale(size.width / doc.width, size.height / doc.height);
  for (const [index, layer] of shown.entries()) drawLayer(context, layer, pictures[index]);
  const { canvas } = context;
  return {
    canvas,
    toBlob: () => blobOf(canvas),
  };
}

/** What is on a canvas now, as PNG. @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} */
export const blobOf = (canvas) =>
  new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));

const SIDE_PX = 320;
const PAUSE_MS = 15_000;

/**
 * Small pictures of documents for the list of projects, stored on the server, no more often than it is worth.
 *
 * @param {Api} api
 * @param {Bitmaps} bitmaps
 */
export function createThumbnails(api, bitmaps) {
  /** @type {{doc: Doc, at: number} | null} */
  let last = null;
  /** @param {Doc} doc @param {boolean} needed   there is none so far @returns {Promise<string | null>}   null where the last one is still right */
  return async (doc, needed) => {
    if (doc.picture === null || (!needed && last?.doc.layers === doc.layers)) return null;
    if (!needed && last !== null && last.doc.picture === doc.picture && last.doc.layers.length > 0 && Date.now() - last.at < PAUSE_MS)
      return null;
    last = { doc, at: Date.now() };
    const layers = doc.layers.length > 0 ? doc.layers : [asLayer(doc.picture)];
    try {
      const { image } = await api.upload(await (await flatten(layers, doc, bitmaps, SIDE_PX)).toBlob());
      return image;
    } catch {
      return null; // The work itself is saved all the same.
    }
  };
}

/** @param {Picture} picture */
export const asLayer = ({ name, image, width, height }) => newLayer({ id: "picture", name, image, width, height, coverage: 1 });
