// @ts-check
import { canvas2d } from "./pixels.js";

/**
 * Paints a project onto the stage's canvas. The canvas has the size of the stage in device pixels, not of the picture,
 * so the work of a frame does not grow with the picture.
 *
 * @typedef {import("./bitmaps.js").Bitmaps} Bitmaps
 * @typedef {import("../types.js").Project} Project
 * @typedef {{scale: number, x: number, y: number}} Camera   in device pixels
 */

/** Above this magnification pixels are shown as squares. */
const CRISP = 3;
/** Differences are doubled so often: one 255th is nothing to see. */
const DOUBLINGS = 2;

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Project} project
 * @param {import("../types.js").Mode} mode
 * @param {Camera} camera
 * @param {Bitmaps} bitmaps
 */
export function paint(context, project, mode, camera, bitmaps) {
  const { width, height } = context.canvas;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  if (mode === "layers") drawLayers(context, project, camera, bitmaps);
  if (mode === "original") drawOriginal(context, project, camera, bitmaps);
  if (mode === "difference") drawDifference(context, project, camera, bitmaps);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Camera} camera
 */
function look(context, camera) {
  context.setTransform(camera.scale, 0, 0, camera.scale, camera.x, camera.y);
  context.imageSmoothingEnabled = camera.scale < CRISP;
  context.imageSmoothingQuality = "high";
}

/** @type {(context: CanvasRenderingContext2D, project: Project, camera: Camera, bitmaps: Bitmaps) => void} */
function drawLayers(context, project, camera, bitmaps) {
  context.save();
  look(context, camera);
  context.beginPath();
  context.rect(0, 0, project.width, project.height);
  context.clip();
  for (const layer of project.layers) {
    const bitmap = layer.visible ? bitmaps.peek(layer.image) : null;
    if (bitmap === null) continue;
    context.globalAlpha = layer.opacity;
    context.drawImage(bitmap, layer.x, layer.y, layer.width, layer.height);
  }
  context.restore();
}

/** @type {(context: CanvasRenderingContext2D, project: Project, camera: Camera, bitmaps: Bitmaps) => void} */
function drawOriginal(context, project, camera, bitmaps) {
  const bitmap = project.picture === null ? null : bitmaps.peek(project.picture.image);
  if (bitmap === null) return;
  context.save();
  look(context, camera);
  context.drawImage(bitmap, 0, 0, project.width, project.height);
  context.restore();
}

/** @type {(context: CanvasRenderingContext2D, project: Project, camera: Camera, bitmaps: Bitmaps) => void} */
function drawDifference(context, project, camera, bitmaps) {
  const { width, height } = context.canvas;
  const layers = canvas2d(width, height);
  drawLayers(layers, project, camera, bitmaps);

  context.save();
  look(context, camera);
  context.fillRect(0, 0, project.width, project.height);
  context.restore();
  drawOriginal(context, project, camera, bitmaps);
  context.save();
  context.globalCompositeOperation = "difference";
  context.drawImage(layers.canvas, 0, 0);
  context.globalCompositeOperation = "lighter";
  for (let i = 0; i < DOUBLINGS; i += 1) context.drawImage(context.canvas, 0, 0);
  context.restore();
}
