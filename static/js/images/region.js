import { blobOf } from "./compositor.js";
import { fromDataUrl } from "./files.js";
import { canvas2d, maskOf } from "./pixels.js";

/** Where a layer may change, as what was drawn says: boxes, lassos, strokes of a brush and objects, each of which adds or takes away. */

/** @typedef {(address: string) => CanvasImageSource | null} Pictures   null while it is not there */

/** A mask: white where the layer may change, clear elsewhere. @param {readonly RegionMark[]} marks @param {Extent} layer @param {Extent} size   of the mask @param {Pictures} pictureOf */
export function maskOfMarks(marks, layer, { width, height }, pictureOf) {
  const context = canvas2d(width, height, true);
  context.scale(width / layer.width, height / layer.height);
  context.fillStyle = context.strokeStyle = "#fff";
  context.lineCap = context.lineJoin = "round";
  for (const mark of marks) {
    context.globalCompositeOperation = mark.takesAway ? "destination-out" : "source-over";
    const mask = mark.kind === "object" ? pictureOf(mark.mask ?? "") : null;
    if (mask !== null) context.drawImage(mask, 0, 0, layer.width, layer.height);
    else if (mark.kind !== "object") draw(context, mark);
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
  const addresses = marks.flatMap(({ mask }) => mask ?? []);
  const [{ width, height }, ...masks] = await Promise.all([layer.image, ...addresses].map(bitmaps.load));
  const mask = maskOfMarks(marks, layer, { width, height }, (address) => masks[addresses.indexOf(address)] ?? null);
  return { mask: (await api.upload(await blobOf(mask))).image };
}

/** What the server has found, as a mark: its mask is kept there. @param {RegionMark} pointed @param {string} mask   white on black, as a data URL @param {Pick<Context, "api" | "bitmaps">} context @returns {Promise<RegionMark>} */
export async function markOfObject(pointed, mask, { api, bitmaps }) {
  const picture = maskOf(await createImageBitmap(fromDataUrl(mask)));
  const { image } = await api.upload(await blobOf(picture));
  await bitmaps.load(image);
  return { ...pointed, mask: image };
}
