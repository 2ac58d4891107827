// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { many, t } from "../i18n.js";
import { fit, panBy, zoomAt } from "../images/camera.js";
import { createLevels } from "../images/levels.js";
import { createPainter } from "../images/paint.js";
import { findLayer } from "../state/doc.js";
import { listenToGestures } from "./gestures.js";
import { createModeBar, createZoomBar } from "./stage-bars.js";
import { createStageFrame, place } from "./stage-frame.js";
import { createHand } from "./stage-hand.js";

/**
 * @typedef {import("../images/camera.js").Camera} Camera
 * @typedef {import("../types.js").State} State
 */

/** Below this width the stage lies above the panels, as in the style sheets. */
const ONE_COLUMN = 760;

/**
 * The picture on its checkerboard. Where the camera stands is this view's own business, not the store's.
 *
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 * @param {HTMLElement} welcome   what lies on an empty stage
 */
export function createStage(actions, bitmaps, welcome) {
  /** @type {Camera} */
  let camera = { scale: 1, x: 0, y: 0 };
  let fitted = true;
  let shown = "";
  /** @type {string | null} */
  let touched = null;
  /** @type {State | null} */
  let state = null;
  let frame = 0;

  const paint = createPainter(bitmaps, createLevels(schedule));
  const canvas = h("canvas", { class: "stage-canvas", role: "img" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const paper = h("div", { class: "stage-paper checkerboard", hidden: true });
  const outline = createStageFrame(actions);
  const view = h("div", { class: "stage-view", tabIndex: 0, role: "application", "aria-label": t("stage.keys") }, paper, canvas, outline.element);
  const modes = createModeBar(actions);
  const zoom = createZoomBar({ zoomBy, zoomTo, toFit });
  const error = h("p", { class: "stage-error", role: "alert", hidden: true });
  const element = h("section", { class: "stage", id: "stage", tabIndex: -1, "aria-label": t("stage.region") }, view, modes.element, welcome, error, zoom.element);

  const extent = () => ({ width: view.clientWidth, height: view.clientHeight });
  const hasPicture = () => state !== null && state.doc.width > 0;
  const middle = () => ({ x: view.clientWidth / 2, y: view.clientHeight / 2 });

  /** @param {Camera} next */
  function move(next) {
    if (state === null || !hasPicture()) return;
    camera = panBy(next, 0, 0, extent(), state.doc);
    fitted = false;
    schedule();
  }

  /** @param {number} factor @param {{x: number, y: number}} [point] */
  function zoomBy(factor, point = middle()) {
    move(zoomAt(camera, factor, point));
  }

  /** @param {number} scale */
  function zoomTo(scale) {
    zoomBy(scale / camera.scale);
  }

  function toFit() {
    fitted = true;
    schedule();
  }

  function schedule() {
    if (frame === 0) frame = requestAnimationFrame(draw);
  }

  function draw() {
    frame = 0;
    if (state === null) return;
    const { doc, mode, upload, selected } = state;
    const empty = !hasPicture() || upload !== null;
    paper.hidden = empty;
    canvas.hidden = empty;
    if (empty) return outline.render(null, null, camera);
    if (fitted) camera = fit(extent(), doc, margins());
    const bare = doc.layers.length === 0;
    paint(context, doc, bare ? "original" : mode, resize(), touched);
    place(paper, { x: 0, y: 0, width: doc.width, height: doc.height }, camera);
    const layer = mode === "layers" ? findLayer(doc, selected) : null;
    outline.render(layer, layer?.visible ? bitmaps.peek(layer.image) : null, camera);
    zoom.render(camera.scale, fitted);
  }

  /** Give the canvas a pixel for each of the screen, and return the camera in those. */
  function resize() {
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(view.clientWidth * ratio), Math.round(view.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    return { scale: camera.scale * ratio, x: camera.x * ratio, y: camera.y * ratio };
  }

  /** @param {{x: number, y: number}} point */
  const toPicture = ({ x, y }) => ({ x: (x - camera.x) / camera.scale, y: (y - camera.y) / camera.scale });
  const hand = createHand({ actions, bitmaps, state: () => state, toPicture, scale: () => camera.scale });
  const pan = (/** @type {number} */ dx, /** @type {number} */ dy) => state !== null && move(panBy(camera, dx, dy, extent(), state.doc));
  listenToGestures(view, { zoomBy, pan, ...hand, toFit });
  new ResizeObserver(schedule).observe(view);

  /** Move the selected layer; presses in a row are one step. @param {number} dx @param {number} dy */
  function nudge(dx, dy) {
    const layer = state === null ? null : findLayer(state.doc, state.selected);
    if (layer === null) return;
    actions.nudge(layer, dx, dy);
  }

  return {
    element,
    zoomBy,
    zoomTo,
    toFit,
    nudge,
    hasFocus: () => view.contains(document.activeElement),
    /** @param {State} next */
    render: (next) => {
      touched = changedLayer(state, next) ?? touched;
      state = next;
      const { doc } = next;
      // Another picture, or the same one at another size, starts in full view.
      const key = `${doc.picture?.image} ${doc.width} ${doc.height}`;
      if (key !== shown) fitted = true;
      shown = key;
      loadPictures(next, bitmaps, schedule);
      modes.element.hidden = doc.layers.length === 0 || next.upload !== null;
      modes.render(next);
      zoom.element.hidden = !hasPicture() || next.upload !== null;
      view.hidden = !hasPicture();
      error.hidden = next.stageError === null;
      setText(error, next.stageError ?? "");
      setAttribute(canvas, "aria-label", doc.layers.length === 0 ? t("stage.picture") : many("stage.canvas", doc.layers.length));
      element.classList.toggle("busy", Object.values(next.jobs).some(({ purpose }) => purpose.kind === "decompose"));
      schedule();
    },
  };

  /** Room for the bars above and below. */
  function margins() {
    return innerWidth < ONE_COLUMN ? { side: 16, top: 60, bottom: 84 } : { side: 40, top: 100, bottom: 80 };
  }
}

/** The one layer that two states differ in, so that a run of changes to it is drawn quickly. @param {State | null} before @param {State} now */
function changedLayer(before, now) {
  if (before === null || before.doc === now.doc || before.doc.layers.length !== now.doc.layers.length) return null;
  const changed = now.doc.layers.filter((layer, index) => layer !== before.doc.layers[index]);
  return changed.length === 1 ? changed[0].id : null;
}

/**
 * Ask for every picture the stage needs and draw again as each arrives.
 * @param {State} state
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 * @param {() => void} onload
 */
function loadPictures({ doc }, bitmaps, onload) {
  const addresses = doc.layers.map((layer) => layer.image);
  if (doc.picture !== null) addresses.push(doc.picture.image);
  bitmaps.pin(addresses);
  for (const address of addresses) if (bitmaps.peek(address) === null) bitmaps.load(address).then(onload, () => {});
}
