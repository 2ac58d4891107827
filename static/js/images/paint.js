// @ts-check
import { createCompositor, look } from "./compositor.js";
import { canvas2d } from "./pixels.js";

/**
 * Paints a document onto the stage's canvas. The canvas has the size of the stage in device pixels, not of the picture,
 * so the work of a frame does not grow with the picture.
 *
 * @typedef {import("../types.js").Doc} Doc
 * @typedef {import("./camera.js").Camera} Camera   in device pixels
 */

/** Differences are doubled so often: one 255th is nothing to see. */
const DOUBLINGS = 2;

/**
 * @param {import("./bitmaps.js").Bitmaps} bitmaps
 * @param {import("./levels.js").Levels} levels
 */
export function createPainter(bitmaps, levels) {
  const composite = createCompositor(bitmaps, levels);

  /** @type {(context: CanvasRenderingContext2D, doc: Doc, camera: Camera) => void} */
  function drawOriginal(context, doc, camera) {
    const bitmap = doc.picture === null ? null : bitmaps.peek(doc.picture.image);
    if (bitmap === null) return;
    context.save();
    look(context, camera);
    context.drawImage(levels(bitmap, (camera.scale * doc.width) / bitmap.width), 0, 0, doc.width, doc.height);
    context.restore();
  }

  /** @type {(context: CanvasRenderingContext2D, doc: Doc, camera: Camera, touched: string | null) => void} */
  function drawDifference(context, doc, camera, touched) {
    const { width, height } = context.canvas;
    const layers = canvas2d(width, height);
    composite(layers, doc, camera, touched);
    context.save();
    look(context, camera);
    context.fillRect(0, 0, doc.width, doc.height);
    context.restore();
    drawOriginal(context, doc, camera);
    context.save();
    context.globalCompositeOperation = "difference";
    context.drawImage(layers.canvas, 0, 0);
    context.globalCompositeOperation = "lighter";
    for (let i = 0; i < DOUBLINGS; i += 1) context.drawImage(context.canvas, 0, 0);
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Doc} doc
   * @param {import("../types.js").Mode} mode
   * @param {Camera} camera
   * @param {string | null} touched
   */
  return (context, doc, mode, camera, touched) => {
    const { width, height } = context.canvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (mode === "layers") composite(context, doc, camera, touched);
    if (mode === "original") drawOriginal(context, doc, camera);
    if (mode === "difference") drawDifference(context, doc, camera, touched);
  };
}
