// @ts-check
import { h, setAttribute } from "../dom.js";
import { t } from "../i18n.js";
import { panBy, zoomAt } from "../images/camera.js";
import { cameraFor, docsOf, samePair } from "../images/pair.js";
import { createVersus } from "../images/versus.js";
import { createCompareBars } from "./compare-bars.js";
import { listenToGestures } from "./gestures.js";
import { createZoomBar } from "./stage-bars.js";
import { place } from "./stage-frame.js";

/**
 * @typedef {import("../images/pair.js").Pair & {how: import("../types.js").How, names: readonly [string, string], changed: string | null}} Shown
 *   `changed`: how much differs, in words
 */

/** As near to the slider's line a press takes hold of it. */
const NEAR_PX = 24;
const PAN_PX = 40;
const KEYS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] });

/**
 * A version of a layer, or two to compare; one camera looks at both. Where it stands is this view's own business, not
 * the store's.
 *
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createCompare(actions, bitmaps) {
  /** @type {import("../images/camera.js").Camera} */
  let camera = { scale: 1, x: 0, y: 0 };
  let [fitted, held, stale, frame] = [true, false, true, 0];
  /** @type {Shown | null} */
  let shown = null;
  /** @type {import("../types.js").Doc[]} */
  let docs = [];

  const versus = createVersus(bitmaps, redraw);
  const canvas = h("canvas", { class: "compare-canvas", role: "img" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const papers = [0, 1].map(() => h("div", { class: "compare-paper checkerboard" }));
  const panes = papers.map((paper) => h("div", { class: "compare-pane" }, paper));
  const view = h("div", { class: "compare-view", tabIndex: 0, role: "application", "aria-label": t("compare.keys") }, ...panes, canvas);
  const bars = createCompareBars({ onpick: (how) => actions.setVersus({ how }), onslide: schedule, onhold: peek });
  const zoom = createZoomBar({ zoomBy, zoomTo: (scale) => zoomBy(scale / camera.scale), toFit });
  const element = h("figure", { class: "compare" }, view, ...bars.elements, zoom.element);

  // A version that is still on its way is no empty picture.
  const isTwo = () => docs.length > 1 && bitmaps.peek(shown?.after ?? "") !== null;
  const isSide = () => isTwo() && shown?.how === "side";
  const slides = () => isTwo() && shown?.how === "slider";
  const extent = () => ({ width: view.clientWidth / (isSide() ? 2 : 1), height: view.clientHeight });

  function schedule() {
    if (frame === 0) frame = requestAnimationFrame(draw);
  }

  function redraw() {
    stale = true;
    schedule();
  }

  /** @param {import("../images/camera.js").Camera} next @param {number} [dx] @param {number} [dy] */
  function move(next, dx = 0, dy = 0) {
    if (docs.length === 0) return;
    camera = panBy(next, dx, dy, extent(), docs[0]);
    fitted = false;
    redraw();
  }

  /** @param {number} factor @param {{x: number, y: number}} [point] */
  function zoomBy(factor, point = { x: extent().width / 2, y: extent().height / 2 }) {
    const { width } = extent();
    move(zoomAt(camera, factor, { x: point.x > width ? point.x - width : point.x, y: point.y }));
  }

  function toFit() {
    fitted = true;
    redraw();
  }

  /** Look at the one before, as long as it is held. @param {boolean} on */
  function peek(on) {
    held = on && isTwo() && !isSide();
    schedule();
  }

  const isNear = (/** @type {number} */ x) => Math.abs(x - bars.share() * view.clientWidth) < NEAR_PX;
  const slideTo = (/** @type {number} */ x) => bars.slideTo(x / view.clientWidth);
  listenToGestures(view, {
    zoomBy,
    toFit,
    pan: (dx, dy) => move(camera, dx, dy),
    grab: ({ x }) => (slides() && (fitted || isNear(x)) ? { drag: (by) => slideTo(x + by.x), end: () => {} } : null),
    click: ({ x }) => slides() && slideTo(x),
  });
  view.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    move(camera, ...step);
  });
  new ResizeObserver(redraw).observe(view);

  function draw() {
    frame = 0;
    if (shown === null || view.clientWidth === 0) return;
    if (fitted) camera = cameraFor(shown, extent(), bitmaps);
    const ratio = devicePixelRatio;
    const size = { width: Math.round(view.clientWidth * ratio), height: Math.round(view.clientHeight * ratio) };
    const resized = canvas.width !== size.width || canvas.height !== size.height;
    if (resized) Object.assign(canvas, size);
    const scene = {
      before: docs[0],
      after: isTwo() ? docs[1] : null,
      touched: shown.layer.id,
      how: shown.how,
      camera: { scale: camera.scale * ratio, x: camera.x * ratio, y: camera.y * ratio },
      share: bars.share(),
      held,
    };
    if (stale || resized) versus.prepare(scene, Math.round(extent().width * ratio), size.height);
    stale = false;
    versus.show(context, scene);
    for (const paper of papers) place(paper, { x: 0, y: 0, width: docs[0].width, height: docs[0].height }, camera);
    panes[1].hidden = !isSide();
    const [before, after] = shown.names;
    setAttribute(canvas, "aria-label", isTwo() ? t("compare.canvas", { before, after }) : before);
    element.dataset.how = isTwo() ? shown.how : "one";
    bars.render({ how: shown.how, two: isTwo(), held, names: shown.names, changed: shown.changed });
    zoom.render(camera.scale, fitted);
  }

  return {
    element,
    zoomBy,
    toFit,
    peek,
    /** @param {Shown} next */
    render: (next) => {
      if (shown?.layer.id !== next.layer.id || shown.where !== next.where) fitted = true;
      if (!samePair(shown, next)) docs = docsOf(next);
      shown = next;
      for (const { image } of docs.flatMap(({ layers }) => layers)) if (bitmaps.peek(image) === null) bitmaps.load(image).then(redraw, () => {});
      held &&= isTwo();
      redraw();
    },
  };
}
