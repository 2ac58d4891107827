import { pixelAt } from "../state/placement.js";
import { canvas2d } from "./pixels.js";

/** Pixels fainter than this do not take a click. */
const FAINT = 16;

/**
 * The topmost layer that has something to see at a point.
 * @param {Doc} doc
 * @param {{x: number, y: number}} point   in pixels of the document
 * @param {Bitmaps} bitmaps
 */
export function layerAt(doc, point, bitmaps) {
  const inside = point.x >= 0 && point.y >= 0 && point.x < doc.width && point.y < doc.height;
  if (!inside) return null;
  return doc.layers.findLast((layer) => layer.visible && layer.opacity > 0 && isSeenAt(layer, point, bitmaps)) ?? null;
}

/** @param {Layer} layer @param {{x: number, y: number}} point @param {Bitmaps} bitmaps */
export function isSeenAt(layer, point, bitmaps) {
  const bitmap = bitmaps.peek(layer.image);
  const { x, y } = pixelAt(layer, point);
  if (bitmap === null || x < 0 || y < 0 || x >= layer.width || y >= layer.height) return false;
  const context = canvas2d(1, 1, true);
  context.drawImage(bitmap, (x * bitmap.width) / layer.width, (y * bitmap.height) / layer.height, 1, 1, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data[3] >= FAINT;
}
