import { blobOf } from "./compositor.js";
import { fromDataUrl } from "./files.js";
import { canvas2d, maskOf } from "./pixels.js";

/**
 * Painting on the alpha of a layer's picture. Restored pixels have the layer's current colors, or its first version's,
 * or those of the picture that it was taken from.
 */

/** The spacing of a stroke's dabs, relative to its width. */
const SPACING = 0.1;

/**
 * A copy of a layer's picture to paint on.
 * @param {CanvasImageSource & Extent} picture   what is painted on; its size is that of the canvas
 * @returns {CanvasRenderingContext2D}
 */
export function copyOf(picture) {
  const context = canvas2d(picture.width, picture.height, true);
  context.drawImage(picture, 0, 0);
  return context;
}

/** The colors that a brush can restore: pictures over each other, all at one size. @param {Extent} size @param {readonly CanvasImageSource[]} pictures   the lowest first */
export function colorsOf({ width, height }, pictures) {
  const context = canvas2d(width, height);
  for (const picture of pictures) context.drawImage(picture, 0, 0, width, height);
  return context.canvas;
}

/**
 * A stroke over a picture, dab by dab.
 * @param {CanvasRenderingContext2D} context   the picture, which is changed
 * @param {CanvasImageSource | null} colors   the colors to restore, at the picture's size; null to erase
 * @param {{size: number, softness: number}} brush   the width in pixels of the picture, and how much of it fades, 0–1
 */
export function beginStroke(context, colors, { size, softness }) {
  /** @type {Point | null} */
  let last = null;
  const dab = canvas2d(1, 1);

  /** @param {Point} at @param {number} width */
  function put(at, width) {
    const radius = Math.max(0.5, width / 2);
    const gradient = (/** @type {CanvasRenderingContext2D} */ on, /** @type {number} */ x, /** @type {number} */ y) => {
      const fade = on.createRadialGradient(x, y, radius * (1 - softness) * 0.98, x, y, radius);
      fade.addColorStop(0, "#000");
      fade.addColorStop(0.5, `rgb(0 0 0 / ${1 - 0.7 * softness})`);
      fade.addColorStop(1, "transparent");
      return fade;
    };
    if (colors === null) {
      context.globalCompositeOperation = "destination-out";
      context.fillStyle = gradient(context, at.x, at.y);
      context.fillRect(at.x - radius, at.y - radius, 2 * radius, 2 * radius);
      return;
    }
    const [left, top, side] = [Math.floor(at.x - radius), Math.floor(at.y - radius), Math.ceil(2 * radius) + 1];
    Object.assign(dab.canvas, { width: side, height: side });
    dab.drawImage(colors, -left, -top);
    dab.globalCompositeOperation = "destination-in";
    dab.fillStyle = gradient(dab, at.x - left, at.y - top);
    dab.fillRect(0, 0, side, side);
    // Below the existing pixels, so that translucent ones keep their color.
    context.globalCompositeOperation = "destination-over";
    context.drawImage(dab.canvas, left, top);
  }

  /** Go on to a point. @param {Point} point   in pixels of the picture @param {number} pressure   0–1 */
  return (point, pressure) => {
    const width = size * (0.25 + 0.75 * pressure);
    const [from, step] = [last ?? point, Math.max(0.5, width * SPACING)];
    const length = Math.hypot(point.x - from.x, point.y - from.y);
    if (last !== null && length < step) return;
    const count = Math.max(1, Math.floor(length / step));
    for (let dabs = 1; dabs <= count; dabs += 1) {
      const share = last === null ? 1 : (dabs * step) / length;
      last = { x: from.x + (point.x - from.x) * Math.min(1, share), y: from.y + (point.y - from.y) * Math.min(1, share) };
      put(last, width);
    }
  };
}

// Where a layer may change, from marks: boxes, lassos, brush strokes and objects, each of which adds or subtracts.

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
    // Draw segment by segment, because pressure varies and a path has one width; an empty path is not drawn.
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

/** The box in the server's form, if that is the only mark. @param {readonly RegionMark[]} marks */
function boxOfMarks(marks) {
  if (marks.length !== 1 || marks[0].kind !== "box" || marks[0].takesAway) return null;
  const [a, b] = marks[0].places;
  return [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
}

/** The marked region of a layer in the server's form: a box, or a mask uploaded here. @param {Layer} layer @param {readonly RegionMark[]} marks @param {Pick<Context, "api" | "bitmaps">} context @returns {Promise<Wire.RegionOfLayer>} */
export async function regionFor(layer, marks, { api, bitmaps }) {
  const box = boxOfMarks(marks);
  if (box !== null) return { box };
  const addresses = marks.flatMap(({ mask }) => mask ?? []);
  const [{ width, height }, ...masks] = await Promise.all([layer.image, ...addresses].map(bitmaps.load));
  const mask = maskOfMarks(marks, layer, { width, height }, (address) => masks[addresses.indexOf(address)] ?? null);
  return { mask: (await api.upload(await blobOf(mask))).image };
}

/** An object found by the server, as a mark; its mask is stored there. @param {RegionMark} pointed @param {string} mask   white on black, as a data URL @param {Pick<Context, "api" | "bitmaps">} context @returns {Promise<RegionMark>} */
export async function markOfObject(pointed, mask, { api, bitmaps }) {
  const picture = maskOf(await createImageBitmap(fromDataUrl(mask)));
  const { image } = await api.upload(await blobOf(picture));
  await bitmaps.load(image);
  return { ...pointed, mask: image };
}
