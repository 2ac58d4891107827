import { groupOf, isShown, labelsOf, matrixOf, newLayer, passesThrough } from "../state/doc.js";
import { drawDifference } from "./difference.js";
import { canvas2d, sizeWithin } from "./pixels.js";

/**
 * Draws a stack at the resolution of the screen. The layers below and above the one being changed are cached as
 * two pictures of the stage, so a frame of a drag costs three draws for any number of layers.
 *
 * @param {Bitmaps} bitmaps
 * @param {Levels} levels
 */
export function createCompositor(bitmaps, levels) {
  const below = createSheet();
  const above = createSheet();

  /** @param {Layer} layer @param {Camera} camera */
  function sourceOf(layer, camera) {
    const bitmap = bitmaps.peek(layer.image);
    const most = camera.scale * layer.scale * Math.max(1, layer.stretch);
    return bitmap === null ? null : levels(bitmap, (most * layer.width) / bitmap.width);
  }

  /** @param {CanvasRenderingContext2D} context @param {readonly Layer[]} layers @param {Doc} doc @param {Camera} camera */
  function draw(context, layers, doc, camera) {
    context.save();
    look(context, camera);
    context.beginPath();
    context.rect(0, 0, doc.width, doc.height);
    context.clip();
    drawStack(context, layers, doc, (layer) => sourceOf(layer, camera));
    context.restore();
  }

  /**
   * A sheet with the layers, redrawn if they or the camera have changed.
   * @param {ReturnType<typeof createSheet>} sheet
   * @param {readonly Layer[]} layers
   * @param {CanvasRenderingContext2D} context
   * @param {Doc} doc
   * @param {Camera} camera
   */
  function sheetOf(sheet, layers, { canvas: { width, height } }, doc, camera) {
    const sources = layers.map((layer) => sourceOf(layer, camera));
    const held = [width, height, camera.scale, camera.x, camera.y, doc.groups, ...layers, ...sources];
    if (!sheet.holds(held)) draw(sheet.blank(width, height, held), layers, doc, camera);
    return sheet.canvas;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Doc} doc
   * @param {Camera} camera
   * @param {string | null} touched   the layer that is being changed
   */
  return (context, doc, camera, touched) => {
    const index = doc.layers.findIndex((layer) => layer.id === touched);
    if (index < 0) return draw(context, doc.layers, doc, camera);
    // A blend mode needs everything below it, and a group its whole content: only plain layers can be composited in advance.
    const whole = (/** @type {Layer} */ layer) => labelsOf(layer.group).find((label) => !passesThrough(groupOf(doc, label)));
    const mixed = doc.layers.findLastIndex((layer) => isSeen(doc, layer) && (layer.blend !== "normal" || whole(layer) !== undefined));
    const split = Math.max(index, mixed) + 1;
    const group = whole(doc.layers[index]);
    let first = index;
    while (group !== undefined && first > 0 && whole(doc.layers[first - 1]) === group) first -= 1;
    const [under, over] = [doc.layers.slice(0, first), doc.layers.slice(split)];
    if (under.length > 0) context.drawImage(sheetOf(below, under, context, doc, camera), 0, 0);
    draw(context, doc.layers.slice(first, split), doc, camera);
    if (over.length > 0) context.drawImage(sheetOf(above, over, context, doc, camera), 0, 0);
  };
}

/** A picture of the stage with a record of its content. */
function createSheet() {
  const context = canvas2d(1, 1);
  /** @type {readonly unknown[]} */
  let made = [];
  return {
    canvas: context.canvas,
    /** @param {readonly unknown[]} held */
    holds: (held) => held.length === made.length && held.every((part, index) => part === made[index]),
    /** @param {number} width @param {number} height @param {readonly unknown[]} held */
    blank: (width, height, held) => {
      made = held;
      Object.assign(context.canvas, { width, height });
      return context;
    },
  };
}

/** Above this magnification pixels are shown as squares. */
const CRISP = 3;

/** @param {CanvasRenderingContext2D} context @param {Camera} camera */
export function look(context, camera) {
  context.setTransform(camera.scale, 0, 0, camera.scale, camera.x, camera.y);
  context.imageSmoothingEnabled = camera.scale < CRISP;
}

/**
 * Draw a layer with its transform and appearance. The context is in pixels of the document, and is restored.
 * @param {CanvasRenderingContext2D} context
 * @param {Layer} layer
 * @param {CanvasImageSource} picture   of the layer, at any resolution
 */
function drawLayer(context, layer, picture) {
  context.save();
  context.globalAlpha = layer.opacity;
  context.globalCompositeOperation = operationOf(layer.blend);
  context.transform(...matrixOf(layer));
  context.drawImage(picture, 0, 0, layer.width, layer.height);
  context.restore();
}

/** @param {Blend | "pass-through"} blend */
const operationOf = (blend) => (blend === "normal" || blend === "pass-through" ? "source-over" : blend);

/** @param {Pick<Doc, "groups">} doc @param {Layer} layer */
const isSeen = (doc, layer) => layer.opacity > 0 && isShown(doc, layer);

/**
 * Draw the visible layers, those of a group that does not pass through onto a separate sheet first. The context
 * is in pixels of the document.
 * @param {CanvasRenderingContext2D} context
 * @param {readonly Layer[]} layers   bottom to top
 * @param {Pick<Doc, "groups">} doc
 * @param {(layer: Layer) => CanvasImageSource | null} pictureOf   null if it is not loaded
 * @param {readonly string[]} [inside]   the groups that are already drawn
 */
function drawStack(context, layers, doc, pictureOf, inside = []) {
  const whole = (/** @type {Layer} */ { group }) =>
    labelsOf(group).find((label) => !inside.includes(label) && !passesThrough(groupOf(doc, label)));
  for (let at = 0; at < layers.length; ) {
    const label = whole(layers[at]);
    let end = at + 1;
    if (label === undefined) {
      const picture = isSeen(doc, layers[at]) ? pictureOf(layers[at]) : null;
      if (picture !== null) drawLayer(context, layers[at], picture);
    } else {
      while (end < layers.length && whole(layers[end]) === label) end += 1;
      drawGroup(context, layers.slice(at, end), doc, pictureOf, [...inside, label], groupOf(doc, label));
    }
    at = end;
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {readonly Layer[]} layers
 * @param {Pick<Doc, "groups">} doc
 * @param {(layer: Layer) => CanvasImageSource | null} pictureOf
 * @param {readonly string[]} inside
 * @param {Group} group
 */
function drawGroup(context, layers, doc, pictureOf, inside, { opacity, blend }) {
  const sheet = canvas2d(context.canvas.width, context.canvas.height);
  sheet.setTransform(context.getTransform());
  sheet.imageSmoothingEnabled = context.imageSmoothingEnabled;
  sheet.imageSmoothingQuality = context.imageSmoothingQuality;
  drawStack(sheet, layers, doc, pictureOf, inside);
  context.save();
  context.resetTransform();
  context.globalAlpha = opacity;
  context.globalCompositeOperation = operationOf(blend);
  context.drawImage(sheet.canvas, 0, 0);
  context.restore();
}

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
  function drawPicture(context, doc, camera) {
    const bitmap = doc.picture === null ? null : bitmaps.peek(doc.picture.image);
    if (bitmap === null) return;
    context.save();
    look(context, camera);
    const { x, y, width, height } = doc.frame ?? { x: 0, y: 0, width: doc.width, height: doc.height };
    context.beginPath();
    context.rect(0, 0, doc.width, doc.height);
    context.clip();
    context.drawImage(levels(bitmap, (camera.scale * width) / bitmap.width), x, y, width, height);
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{doc: Doc, against: Doc | null, mode: Mode, camera: Camera, touched: string | null, share: number, hasty: boolean}} scene
   *   `against`: what is compared instead of the original; `camera`: in device pixels; `share`: where the slider parts the
   *   original from the layers, 0–1; `hasty`: at half the resolution
   */
  return (context, { doc, against, mode, camera, touched, share, hasty }) => {
    const { width, height } = context.canvas;
    const drawOriginal = (/** @type {CanvasRenderingContext2D} */ sheet) => {
      if (against === null) return drawPicture(sheet, doc, camera);
      // Align both at the picture from which they were made.
      const [x, y] = [(doc.frame?.x ?? 0) - (against.frame?.x ?? 0), (doc.frame?.y ?? 0) - (against.frame?.y ?? 0)];
      const moved = { scale: camera.scale, x: camera.x + x * camera.scale, y: camera.y + y * camera.scale };
      return against.layers.length > 0 ? composite(sheet, against, moved, null) : drawPicture(sheet, against, moved);
    };
    if (width === 0 || height === 0) return; // while the stage has no size
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (hasty && mode === "layers") {
      const half = { scale: camera.scale / 2, x: camera.x / 2, y: camera.y / 2 };
      Object.assign(sheet.canvas, { width: Math.ceil(width / 2), height: Math.ceil(height / 2) });
      composite(sheet, doc, half, null);
      context.imageSmoothingEnabled = true;
      return context.drawImage(sheet.canvas, 0, 0, 2 * sheet.canvas.width, 2 * sheet.canvas.height);
    }
    if (mode === "layers" || mode === "slider") composite(context, doc, camera, touched);
    if (mode === "original") drawOriginal(context);
    if (mode === "layers" || mode === "original") return undefined;
    Object.assign(sheet.canvas, { width, height });
    const cut = Math.round(width * share);
    if (mode === "difference") {
      Object.assign(ground.canvas, { width, height });
      drawOriginal(ground);
      composite(sheet, doc, camera, touched);
      drawDifference(context, ground.canvas, sheet, {
        x: camera.x,
        y: camera.y,
        width: doc.width * camera.scale,
        height: doc.height * camera.scale,
      });
    } else if (cut > 0) {
      drawOriginal(sheet);
      context.clearRect(0, 0, cut, height);
      context.drawImage(sheet.canvas, 0, 0, cut, height, 0, 0, cut, height);
    }
  };
}

/**
 * Layers as one picture of the document's size.
 * @param {readonly Layer[]} layers   bottom to top
 * @param {Pick<Doc, "width" | "height" | "groups">} doc
 * @param {Bitmaps} bitmaps
 * @param {number} [limit]   pixels of the longer side
 */
export async function flatten(layers, doc, bitmaps, limit = Infinity) {
  const shown = layers.filter((layer) => isShown(doc, layer));
  const pictures = new Map(await Promise.all(shown.map(async (layer) => /** @type {const} */ ([layer, await bitmaps.load(layer.image)]))));
  const size = sizeWithin(doc, limit);
  const context = canvas2d(size.width, size.height);
  context.imageSmoothingQuality = "high";
  context.scale(size.width / doc.width, size.height / doc.height);
  drawStack(context, layers, doc, (layer) => pictures.get(layer) ?? null);
  const { canvas } = context;
  return {
    canvas,
    toBlob: () => blobOf(canvas),
  };
}

/** The current content of a canvas as PNG. @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} */
export const blobOf = (canvas) =>
  new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));

const SIDE_PX = 320;
const PAUSE_MS = 15_000;

/**
 * Thumbnails of documents for the list of projects, stored on the server, updated at a limited rate.
 *
 * @param {Api} api
 * @param {Bitmaps} bitmaps
 */
export function createThumbnails(api, bitmaps) {
  /** @type {{doc: Doc, at: number} | null} */
  let last = null;
  /** @param {Doc} doc @param {boolean} needed   there is none yet @returns {Promise<string | null>}   null if the last one is still valid */
  return async (doc, needed) => {
    if (doc.picture === null || (!needed && last?.doc.layers === doc.layers && last.doc.groups === doc.groups)) return null;
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
