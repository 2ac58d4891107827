import { createCompositor, look } from "./compositor.js";
import { drawDifference } from "./difference.js";
import { canvas2d } from "./pixels.js";

/**
 * Paints a document onto the stage's canvas. The canvas has the size of the stage in device pixels, not of the picture,
 * so the work of a frame does not grow with the picture.
 *
 * @param {Bitmaps} bitmaps
 * @param {Levels} levels
 */
export function createPainter(bitmaps, levels) {
  const composite = createCompositor(bitmaps, levels);
  const [sheet, ground] = [canvas2d(1, 1), canvas2d(1, 1)];

  /** @type {(context: CanvasRenderingContext2D, doc: Doc, camera: Camera) => void} */
  function drawOriginal(context, doc, camera) {
    const bitmap = doc.picture === null ? null : bitmaps.peek(doc.picture.image);
    if (bitmap === null) return;
    context.save();
    look(context, camera);
    context.drawImage(levels(bitmap, (camera.scale * doc.width) / bitmap.width), 0, 0, doc.width, doc.height);
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{doc: Doc, mode: Mode, camera: Camera, touched: string | null, share: number}} scene   `camera`: in device
   *   pixels; `share`: where the slider parts the original from the layers, 0–1
   */
  return (context, { doc, mode, camera, touched, share }) => {
    const { width, height } = context.canvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (mode === "layers" || mode === "slider") composite(context, doc, camera, touched);
    if (mode === "original") drawOriginal(context, doc, camera);
    if (mode === "layers" || mode === "original") return;
    Object.assign(sheet.canvas, { width, height });
    const cut = Math.round(width * share);
    if (mode === "difference") {
      Object.assign(ground.canvas, { width, height });
      drawOriginal(ground, doc, camera);
      composite(sheet, doc, camera, touched);
      drawDifference(context, ground.canvas, sheet, { x: camera.x, y: camera.y, width: doc.width * camera.scale, height: doc.height * camera.scale });
    } else if (cut > 0) {
      drawOriginal(sheet, doc, camera);
      context.clearRect(0, 0, cut, height);
      context.drawImage(sheet.canvas, 0, 0, cut, height, 0, 0, cut, height);
    }
  };
}
