import { canvas2d, coverageIn } from "../../images/pixels.js";
import { moveTo } from "../../state/commands.js";
import { findLayer, pixelAt } from "../../state/doc.js";

/**
 * What a pointer does to layers on the stage: a click selects the topmost one under it, a drag moves the one it began
 * on. The ground, which lies everywhere, moves only once it has been selected, so that a stray drag pans. A finger scrolls
 * the page: it moves a layer only once the layer was tapped on the stage, the ground once it was tapped twice.
 *
 * @param {object} about
 * @param {Actions} about.actions
 * @param {Bitmaps} about.bitmaps
 * @param {() => State | null} about.state
 * @param {{readonly camera: Camera}} about.viewport
 * @param {(point: Point) => boolean} about.isFramed   whether a point lies in the frame around the selected layer
 */
export function createHand({ actions, bitmaps, state, viewport, isFramed }) {
  /** @type {string | null} the layer that a finger may move */
  let tapped = null;

  /** Whether a finger may move the selected layer. @param {State} now */
  const inHand = ({ selected, mode }) => tapped !== null && tapped === selected && mode === "layers";

  /** @param {Point} point @returns {Point}   in pixels of the document */
  function toPicture({ x, y }) {
    const { camera } = viewport;
    return { x: (x - camera.x) / camera.scale, y: (y - camera.y) / camera.scale };
  }

  /** @param {Point} point */
  function grabbed(point) {
    const now = state();
    if (now === null || now.mode !== "layers" || now.doc.layers.length === 0) return null;
    const at = toPicture(point);
    const selected = findLayer(now.doc, now.selected);
    if (selected?.visible && isSeenAt(selected, at, bitmaps)) return selected;
    const hit = layerAt(now.doc, at, bitmaps);
    return hit === null || isGround(hit, now.doc, bitmaps) ? null : hit;
  }

  return {
    inHand,

    /** @param {Point} point @param {boolean} touch @returns {import("./gestures.js").Drag | null} */
    grab: (point, touch) => {
      const now = state();
      const held = now !== null && inHand(now) && isFramed(point) ? findLayer(now.doc, tapped) : null;
      const layer = touch ? held : grabbed(point);
      if (layer === null) return null;
      return {
        drag: (by) => {
          const { scale } = viewport.camera;
          actions.select(layer.id);
          actions.run(moveTo(layer, layer.x + by.x / scale, layer.y + by.y / scale));
        },
        end: () => actions.endGesture(),
      };
    },

    /** @param {Point} point @param {boolean} touch */
    click: (point, touch) => {
      const now = state();
      if (now === null || now.mode !== "layers") return;
      const hit = layerAt(now.doc, toPicture(point), bitmaps);
      if (touch) tapped = hit !== null && (!isGround(hit, now.doc, bitmaps) || hit.id === now.selected) ? hit.id : null;
      if (hit !== null) actions.select(hit.id);
    },
  };
}

const GROUND_COVERAGE = 0.9;

/** @param {Layer} layer @param {Doc} doc @param {Bitmaps} bitmaps */
const isGround = (layer, doc, bitmaps) => coverageIn(layer, doc, bitmaps.peek(layer.image)) > GROUND_COVERAGE;

/** Pixels fainter than this do not take a click. */
const FAINT = 16;

/**
 * The topmost layer that has something to see at a point.
 * @param {Doc} doc
 * @param {{x: number, y: number}} point   in pixels of the document
 * @param {Bitmaps} bitmaps
 */
function layerAt(doc, point, bitmaps) {
  const inside = point.x >= 0 && point.y >= 0 && point.x < doc.width && point.y < doc.height;
  if (!inside) return null;
  return doc.layers.findLast((layer) => layer.visible && layer.opacity > 0 && isSeenAt(layer, point, bitmaps)) ?? null;
}

/** @param {Layer} layer @param {{x: number, y: number}} point @param {Bitmaps} bitmaps */
function isSeenAt(layer, point, bitmaps) {
  const bitmap = bitmaps.peek(layer.image);
  const { x, y } = pixelAt(layer, point);
  if (bitmap === null || x < 0 || y < 0 || x >= layer.width || y >= layer.height) return false;
  const context = canvas2d(1, 1, true);
  context.drawImage(bitmap, (x * bitmap.width) / layer.width, (y * bitmap.height) / layer.height, 1, 1, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data[3] >= FAINT;
}
