import { blobOf } from "./compositor.js";
import { canvas2d } from "./pixels.js";

/** Where a layer may change, as what was drawn says: boxes, lassos and strokes of a brush, each of which adds or takes away. */

/** A mask: white where the layer may change, clear elsewhere. @param {readonly RegionMark[]} marks @param {Extent} layer @param {Extent} size   of the mask */
export function maskOfMarks(marks, layer, { width, height }) {
  const context = canvas2d(width, height, true);
  context.scale(width / layer.width, height / layer.height);
  context.fillStyle = context.strokeStyle = "#fff";
  context.lineCap = context.lineJoin = "round";
  for (const mark of marks) {
    context.globalCompositeOperation = mark.takesAway ? "destination-out" : "source-over";
    draw(context, mark);
  }
  return context.canvas;
}

/** @param {CanvasRenderingContext2D} context @param {RegionMark} mark */
function draw(context, { kind, places }) {
  const [first, last] = [places[0], places.at(-1) ?? places[0]];
  if (kind === "box") return context.fillRect(first.x, first.y, last.x - first.x, last.y - first.y);
  if (kind === "brush") {
    // A pen's pressure changes from place to place, a path has one width; and one without a length is not drawn.
    for (const [index, place] of places.entries()) {
      const from = places[Math.max(0, index - 1)];
      context.lineWidth = place.width ?? 1;
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(place.x + 0.01, place.y);
      context.stroke();
    }
    return;
  }
  context.beginPath();
  for (const place of places) context.lineTo(place.x, place.y);
  context.fill();
}

/** The box, where that is all that was drawn, as the server takes it. @param {readonly RegionMark[]} marks */
function boxOfMarks(marks) {
  if (marks.length !== 1 || marks[0].kind !== "box" || marks[0].takesAway) return null;
  const [a, b] = marks[0].places;
  return [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
}

/** What is marked of a layer, as the server takes it: a box, or a mask that it holds by then. @param {Layer} layer @param {readonly RegionMark[]} marks @param {Pick<Context, "api" | "bitmaps">} context @returns {Promise<Wire.RegionOfLayer>} */
export async function regionFor(layer, marks, { api, bitmaps }) {
  const box = boxOfMarks(marks);
  if (box !== null) return { box };
  const { width, height } = await bitmaps.load(layer.image);
  return { mask: (await api.upload(await blobOf(maskOfMarks(marks, layer, { width, height })))).image };
}
