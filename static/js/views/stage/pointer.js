import { h } from "../../dom.js";
import { t } from "../../i18n.js";
import { place } from "../../images/camera.js";
import { canvas2d, coverageIn, partOf } from "../../images/pixels.js";
import { duplicate } from "../../state/commands.js";
import { findLayer, isShown, newId, pixelAt, selectionOf } from "../../state/doc.js";
import { around, linesOf, moveBy, nearest, seenBox } from "../../state/transform.js";
import { selectionMenu } from "../layers/panel.js";
import { createStageFrame, linesAround, REACH } from "./frame.js";

/**
 * Pointer actions on layers: a click selects the topmost one, with Shift or Ctrl in addition to others; a
 * drag moves the selection, with Alt a copy of it, and from an empty place it draws a selection box.
 * The background layer moves only if it is selected. A finger scrolls the page: it moves a layer only
 * after the layer was tapped on the stage, the background after two taps.
 *
 * @param {object} about
 * @param {Actions} about.actions
 * @param {Bitmaps} about.bitmaps
 * @param {() => State | null} about.state
 * @param {{readonly camera: Camera, schedule: () => void}} about.viewport
 */
export function createHand({ actions, bitmaps, state, viewport }) {
  /** @type {string | null} the layer that a finger may move */
  let tapped = null;
  const frame = createStageFrame(actions, bitmaps);
  const box = h("div.stage-box", { hidden: true });

  /** Whether a finger may move the selection. @param {State} now */
  const inHand = ({ selected, mode }) => tapped !== null && tapped === selected && mode === "layers";

  /** @param {Point} point @returns {Point}   in pixels of the document */
  function toPicture({ x, y }) {
    const { camera } = viewport;
    return { x: (x - camera.x) / camera.scale, y: (y - camera.y) / camera.scale };
  }

  /** @param {State} now @param {Point} point */
  function grabbed(now, point) {
    const at = toPicture(point);
    const selected = selectionOf(now).findLast((layer) => isShown(now.doc, layer) && isSeenAt(layer, at, bitmaps));
    if (selected) return selected;
    const hit = layerAt(now.doc, at, bitmaps);
    return hit === null || isGround(hit, now.doc, bitmaps) ? null : hit;
  }

  /** Move the selection if it includes the layer, otherwise the layer. @param {State} now @param {Layer} layer @param {boolean} copies @returns {import("./gestures.js").Drag} */
  function move(now, layer, copies) {
    const selection = selectionOf(now);
    let layers = selection.includes(layer) ? selection : [layer];
    const gesture = copies ? `copy ${newId()}` : null;
    const seen = around(layers.map((each) => seenBox(partOf(each, bitmaps))));
    /** @type {import("../../state/transform.js").Lines | null} null until it moves */
    let lines = null;

    function begin() {
      if (layers.length === 1) actions.select(layer.id);
      if (gesture !== null) {
        const ids = layers.map(newId);
        actions.run({ ...duplicate(layers, ids), gesture });
        actions.selectThese(ids);
        layers = layers.map((each, index) => ({ ...each, id: ids[index] }));
      }
      lines = linesAround(now.doc, layers, bitmaps);
      return lines;
    }

    return {
      drag: (by, event) => {
        const { scale } = viewport.camera;
        let [dx, dy] = [by.x / scale, by.y / scale];
        // Shift restricts the movement to one axis.
        if (event.shiftKey) [dx, dy] = Math.abs(dx) > Math.abs(dy) ? [dx, 0] : [0, dy];
        const own = linesOf([{ ...seen, x: seen.x + dx, y: seen.y + dy }]);
        const reach = event.ctrlKey || event.metaKey ? -1 : REACH / scale;
        const all = lines ?? begin();
        const found = {
          x: event.shiftKey && dx === 0 ? null : nearest(own.x, all.x, reach),
          y: event.shiftKey && dy === 0 ? null : nearest(own.y, all.y, reach),
        };
        const command = moveBy(layers, dx + (found.x?.by ?? 0), dy + (found.y?.by ?? 0));
        actions.run(gesture === null ? command : { ...command, gesture });
        frame.guide({ x: found.x?.line ?? null, y: found.y?.line ?? null });
      },
      end: () => {
        frame.rest();
        actions.endGesture();
      },
    };
  }

  /** Select the layers within a drawn box. @param {Point} start @param {State} now @param {boolean} besides   what is selected already @returns {import("./gestures.js").Drag} */
  function draw(start, now, besides) {
    const before = besides && now.selected !== null ? [...now.also, now.selected] : [];
    const first = toPicture(start);
    const rest = () => {
      box.hidden = true;
    };
    return {
      drag: (by) => {
        const last = toPicture({ x: start.x + by.x, y: start.y + by.y });
        const drawn = around([
          { ...first, width: 0, height: 0 },
          { ...last, width: 0, height: 0 },
        ]);
        box.hidden = false;
        place(box, drawn, viewport.camera);
        const within = now.doc.layers.filter((layer) => isShown(now.doc, layer) && holds(drawn, seenBox(partOf(layer, bitmaps))));
        actions.selectThese([...new Set([...before, ...within.map(({ id }) => id)])]);
      },
      end: rest,
      cancel: rest,
    };
  }

  async function openCanvas() {
    const { openCanvasDialog } = await import("../layers/placing.js");
    const doc = state()?.doc;
    if (doc) openCanvasDialog(actions, doc, /** @type {HTMLElement} */ (box.parentElement));
  }

  /** The menu at a point, or by a key for the selection. @param {Point | null} point */
  function menu(point) {
    const now = state();
    if (now === null || now.mode !== "layers" || now.tool !== null || now.doc.layers.length === 0) return null;
    const chosen = selectionOf(now);
    const hit = point === null ? (chosen.at(-1) ?? null) : layerAt(now.doc, toPicture(point), bitmaps);
    if (hit === null) {
      const all = { label: t("help.selectAll"), key: "Ctrl A", run: () => actions.selectThese(now.doc.layers.map(({ id }) => id)) };
      const seen = now.doc.layers.filter((layer) => isShown(now.doc, layer));
      const fits = { label: t("canvas.visible"), disabled: seen.length === 0, run: () => actions.fitCanvas(seen) };
      return { label: t("stage.region"), entries: [all, "", fits, { label: t("canvas.choose"), run: openCanvas }] };
    }
    if (chosen.includes(hit)) return selectionMenu(now, hit, actions, null);
    actions.select(hit.id);
    return selectionMenu({ ...now, selected: hit.id, also: [], group: null }, hit, actions, null, chosen);
  }

  return {
    frame,
    menu,
    elements: [...frame.elements, box],
    inHand,

    /** @param {Point} point @param {boolean} touch @param {PointerEvent} event @returns {import("./gestures.js").Drag | null} */
    grab: (point, touch, event) => {
      const now = state();
      if (now === null || now.mode !== "layers" || now.doc.layers.length === 0) return null;
      const besides = event.shiftKey || event.ctrlKey || event.metaKey;
      const held = inHand(now) && frame.covers(point) ? findLayer(now.doc, tapped) : null;
      const layer = touch ? held : grabbed(now, point);
      if (layer !== null) return move(now, layer, event.altKey);
      return touch ? null : draw(point, now, besides);
    },

    /** @param {Point} point @param {boolean} touch @param {PointerEvent} event */
    click: (point, touch, event) => {
      const now = state();
      if (now === null || now.mode !== "layers") return;
      const hit = layerAt(now.doc, toPicture(point), bitmaps);
      if (touch) tapped = hit !== null && (!isGround(hit, now.doc, bitmaps) || hit.id === now.selected) ? hit.id : null;
      if (hit === null) return;
      if (event.shiftKey || event.ctrlKey || event.metaKey) actions.selectToo(hit.id);
      else actions.select(hit.id);
    },

    /** @param {State | null} now   null if there is nothing to grab */
    render: (now) => {
      frame.render(now, viewport.camera);
      frame.inHand(now !== null && inHand(now));
    },
  };
}

/** @param {Box} outer @param {Box} inner */
const holds = (outer, inner) =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;

const GROUND_COVERAGE = 0.9;

/** @param {Layer} layer @param {Doc} doc @param {Bitmaps} bitmaps */
const isGround = (layer, doc, bitmaps) => coverageIn(layer, doc, bitmaps.peek(layer.image)) > GROUND_COVERAGE;

/** Pixels fainter than this do not take a click. */
const FAINT = 16;

/**
 * The topmost layer with visible content at a point.
 * @param {Doc} doc
 * @param {{x: number, y: number}} point   in pixels of the document
 * @param {Bitmaps} bitmaps
 */
function layerAt(doc, point, bitmaps) {
  const inside = point.x >= 0 && point.y >= 0 && point.x < doc.width && point.y < doc.height;
  if (!inside) return null;
  return doc.layers.findLast((layer) => isShown(doc, layer) && layer.opacity > 0 && isSeenAt(layer, point, bitmaps)) ?? null;
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
