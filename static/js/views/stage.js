// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { fit, panBy, zoomAt } from "../images/camera.js";
import { paint } from "../images/paint.js";
import { contentBox, grow } from "../images/pixels.js";
import { findLayer } from "../state/project.js";
import { strings } from "../strings.js";
import { listenToGestures } from "./gestures.js";
import { createModeBar, createZoomBar } from "./stage-bars.js";
import { createWelcome } from "./welcome.js";

/** @typedef {import("../images/camera.js").Camera} Camera */

const OUTLINED = 0.5;
/** Below this width the stage lies above the panels, as in the style sheets. */
const ONE_COLUMN = 760;

/**
 * The picture on its checkerboard. Where the camera stands is this view's own business, not the store's.
 *
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createStage(actions, bitmaps) {
  /** @type {Camera} */
  let camera = { scale: 1, x: 0, y: 0 };
  let fitted = true;
  let shown = "";
  /** @type {import("../types.js").State | null} */
  let state = null;
  let frame = 0;

  const canvas = h("canvas", { class: "stage-canvas", role: "img" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const paper = h("div", { class: "stage-paper checkerboard", hidden: true });
  const outline = h("div", { class: "stage-outline", hidden: true });
  const view = h("div", { class: "stage-view" }, paper, canvas, outline);
  const modes = createModeBar(actions);
  const zoom = createZoomBar({ zoomBy, zoomTo, toFit });
  const welcome = createWelcome(actions);
  const error = h("p", { class: "stage-error", role: "alert", hidden: true });
  const element = h("section", { class: "stage", id: "stage", tabIndex: -1, "aria-label": strings.stage.region }, view, modes.element, welcome.element, error, zoom.element);

  const extent = () => ({ width: view.clientWidth, height: view.clientHeight });
  const picture = () => /** @type {import("../types.js").State} */ (state).project;
  const hasPicture = () => state !== null && state.project.width > 0;
  const middle = () => ({ x: view.clientWidth / 2, y: view.clientHeight / 2 });

  /** @param {Camera} next */
  function move(next) {
    if (!hasPicture()) return;
    camera = panBy(next, 0, 0, extent(), picture());
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
    const { project, mode, upload } = state;
    const empty = !hasPicture() || upload !== null;
    paper.hidden = empty && upload === null;
    canvas.hidden = empty;
    if (empty) return void (outline.hidden = true);
    const bare = project.layers.length === 0;
    if (fitted) camera = fit(extent(), project, margins());
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(view.clientWidth * ratio), Math.round(view.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const device = { scale: camera.scale * ratio, x: camera.x * ratio, y: camera.y * ratio };
    paint(context, project, bare ? "original" : mode, device, bitmaps);
    place(paper, { x: 0, y: 0, width: project.width, height: project.height });
    drawOutline();
    zoom.render(camera.scale, fitted);
    view.classList.toggle("movable", !fitted);
  }

  /** Show where the selected layer lies, if it lies in one place: a frame around most of the picture says nothing. */
  function drawOutline() {
    const { project, selected, mode } = /** @type {import("../types.js").State} */ (state);
    const layer = mode === "layers" ? findLayer(project, selected) : null;
    const bitmap = layer?.visible ? bitmaps.peek(layer.image) : null;
    outline.hidden = layer === null || bitmap === null;
    if (layer === null || bitmap === null) return;
    const box = grow(contentBox(bitmap), 0.004, bitmap);
    outline.hidden = box.width * box.height > OUTLINED * project.width * project.height;
    place(outline, { ...box, x: box.x + layer.x, y: box.y + layer.y });
  }

  /** @param {HTMLElement} target @param {import("../images/pixels.js").Box} box */
  function place(target, box) {
    Object.assign(target.style, {
      left: `${camera.x + box.x * camera.scale}px`,
      top: `${camera.y + box.y * camera.scale}px`,
      width: `${box.width * camera.scale}px`,
      height: `${box.height * camera.scale}px`,
    });
  }

  listenToGestures(view, { zoomBy, pan: (dx, dy) => move(panBy(camera, dx, dy, extent(), picture())), toFit, fitted: () => fitted });
  new ResizeObserver(schedule).observe(view);

  return {
    element,
    zoomBy,
    zoomTo,
    toFit,
    /** @param {import("../types.js").State} next */
    render: (next) => {
      state = next;
      const { project } = next;
      // Another picture, or the same one at another size, starts in full view.
      const key = `${project.picture?.image} ${project.width} ${project.height}`;
      if (key !== shown) fitted = true;
      shown = key;
      loadPictures(next, bitmaps, schedule);
      const started = hasPicture() || next.upload !== null;
      welcome.element.hidden = started;
      welcome.render(next);
      modes.element.hidden = project.layers.length === 0 || next.upload !== null;
      modes.render(next);
      zoom.element.hidden = !hasPicture() || next.upload !== null;
      error.hidden = next.stageError === null;
      setText(error, next.stageError ?? "");
      setAttribute(canvas, "aria-label", strings.stage.canvas(project.layers.length));
      element.classList.toggle("busy", Object.values(next.jobs).some(({ purpose }) => purpose.kind === "decompose"));
      schedule();
    },
  };

  /** Room for the bars above and below. */
  function margins() {
    return innerWidth < ONE_COLUMN ? { side: 16, top: 60, bottom: 84 } : { side: 40, top: 100, bottom: 80 };
  }
}

/**
 * Ask for every picture the stage needs and draw again as each arrives.
 * @param {import("../types.js").State} state
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 * @param {() => void} onload
 */
function loadPictures({ project }, bitmaps, onload) {
  const addresses = project.layers.map((layer) => layer.image);
  if (project.picture !== null) addresses.push(project.picture.image);
  for (const address of addresses) if (bitmaps.peek(address) === null) bitmaps.load(address).then(onload, () => {});
}
