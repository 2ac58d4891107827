import { newLayer } from "../state/doc.js";
import { flatten } from "./flatten.js";

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
    if (!needed && last !== null && last.doc.picture === doc.picture && last.doc.layers.length > 0 && Date.now() - last.at < PAUSE_MS) return null;
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
const asLayer = ({ name, image, width, height }) => newLayer({ id: "", name, image, width, height, coverage: 1 });
