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
  shown.forEach((layer, index) => drawLayer(context, layer, pictures[index]));
  const { canvas } = context;
  return {
    canvas,
    toBlob: () =>
      new Promise((/** @type {(blob: Blob) => void} */ resolve, reject) =>
        canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"),
      ),
  };
}
