import { h, setAttribute, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { createViewport, fitCanvas, place } from "../../images/camera.js";
import { cameraFor, createVersus, docsOf, samePair } from "../../images/comparison.js";
import { segmented } from "../shell/fields.js";
import { createParting, createZoomBar } from "../stage/bars.js";
import { listenToGestures } from "../stage/gestures.js";
import { createRegionVeil } from "./region.js";

/**
 * @typedef {import("../../images/comparison.js").Pair & {how: How, names: readonly [string, string], changed: string | null, region: readonly RegionMark[], marking: Marking | null}} Shown
 *   `changed`: the difference in words; `region`: the marks on the layer; `marking`: the drawing tool
 */

const PAN_PX = 40;
const KEYS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [PAN_PX, 0],
  ArrowRight: [-PAN_PX, 0],
  ArrowUp: [0, PAN_PX],
  ArrowDown: [0, -PAN_PX],
});

/**
 * One or two versions of a layer; both share a camera.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 */
export function createCompare(actions, bitmaps) {
  let held = false;
  /** @type {Camera | null} the camera of the current drawings; null if they must be redrawn */
  let drawn = null;
  /** @type {Shown | null} */
  let shown = null;
  /** @type {Doc[]} */
  let docs = [];

  const canvas = h("canvas.compare-canvas", { role: "img" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const papers = [0, 1].map(() => h("div.compare-paper.checkerboard"));
  const panes = papers.map((paper) => h("div.compare-pane", paper));
  const veil = createRegionVeil(actions, bitmaps, () => viewport);
  const view = h("div.compare-view", { tabIndex: 0, role: "application" }, ...panes, canvas, veil.element);
  const extent = () => ({ width: view.clientWidth / (isSide() ? 2 : 1), height: view.clientHeight });
  const viewport = createViewport({
    extent,
    content: () => docs[0] ?? null,
    home: () => cameraFor(/** @type {Shown} */ (shown), extent(), bitmaps),
    draw,
  });
  const { schedule, toFit, pan } = viewport;
  const versus = createVersus(bitmaps, redraw);
  const parting = createParting(t("compare.label"), view, schedule);
  const bars = createCompareBars({ parting, onpick: (how) => actions.setVersus({ how }), onhold: peek });
  const zoom = createZoomBar(viewport);
  const element = h("figure.compare", view, ...bars.elements, zoom.element);

  // A version that is still loading must not look empty.
  const isTwo = () => docs.length > 1 && bitmaps.peek(shown?.after ?? "") !== null;
  const isSide = () => isTwo() && shown?.how === "side";
  const slides = () => isTwo() && shown?.how === "slider";

  function redraw() {
    drawn = null;
    schedule();
  }

  /** @param {number} factor @param {Point} [point] */
  function zoomBy(factor, point) {
    const { width } = extent();
    viewport.zoomBy(factor, point && { x: point.x > width ? point.x - width : point.x, y: point.y });
  }

  /** Show the one before while the button is held. @param {boolean} on */
  function peek(on) {
    held = on && isTwo() && !isSide();
    schedule();
  }

  listenToGestures(view, {
    zoomBy,
    pan,
    grab: (point, _, event) => {
      if (veil.inHand()) return veil.grab(point, event);
      return slides() && (viewport.fitted || parting.isNear(point.x)) ? parting.hold(point) : null;
    },
    click: ({ x }) => slides() && parting.slideTo(x),
  });
  view.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    const drawn = veil.press(event, extent());
    if (!drawn && step === undefined) return;
    event.preventDefault();
    if (!drawn) pan(...step);
  });
  veil.follow(view);
  new ResizeObserver(redraw).observe(view);

  function draw() {
    if (shown === null || view.clientWidth === 0) return;
    const { how, layer, names, changed } = shown;
    const { camera, sharp } = viewport;
    const two = isTwo();
    const resized = fitCanvas(canvas, view);
    const scene = { before: docs[0], after: two ? docs[1] : null, touched: layer.id, how, camera: sharp, share: parting.share(), held };
    if (drawn !== camera || resized) versus.prepare(scene, Math.round(extent().width * devicePixelRatio), canvas.height);
    drawn = camera;
    versus.show(context, scene);
    for (const paper of papers) place(paper, { x: 0, y: 0, width: docs[0].width, height: docs[0].height }, camera);
    panes[1].hidden = !isSide();
    setAttribute(canvas, "aria-label", two ? t("compare.canvas", { before: names[0], after: names[1] }) : names[0]);
    element.dataset.how = two ? how : "one";
    bars.render({ how, two, held, names, changed });
    zoom.render(viewport);
    veil.draw(view);
  }

  return {
    element,
    zoomBy,
    toFit,
    peek,
    /** @param {Shown} next */
    render: (next) => {
      if (shown?.layer.id !== next.layer.id || shown.where !== next.where) toFit();
      if (!samePair(shown, next)) docs = docsOf(next);
      shown = next;
      veil.render(next);
      setAttribute(view, "aria-label", t(next.marking === null ? "compare.keys" : "region.keys"));
      element.toggleAttribute("data-marking", next.marking !== null);
      for (const { image } of docs.flatMap(({ layers }) => layers))
        if (bitmaps.peek(image) === null) bitmaps.load(image).then(redraw, () => {});
      held &&= isTwo();
      redraw();
    },
  };
}

const WAYS = /** @type {const} */ (["slider", "blink", "difference", "side"]);

/**
 * Controls over a comparison of two versions: its mode, their names, the slider, the blink button.
 * @param {{parting: ReturnType<typeof import("../stage/bars.js").createParting>, onpick: (how: How) => void, onhold: (on: boolean) => void}} on
 */
export function createCompareBars({ parting, onpick, onhold }) {
  const ways = segmented({ label: t("compare.ways"), options: WAYS.map((how) => [how, t(`compare.${how}`)]), onpick });
  const bar = h("div.compare-ways", ways.element);
  const hold = h("button.button.small.compare-hold", t("compare.hold"));
  const note = h("p.compare-note.number");
  const [left, right] = ["left", "right"].map((side) => h("span", { class: `compare-tag ${side}` }));
  holdable(hold, onhold);

  return {
    elements: [...parting.elements, left, right, note, hold, bar],
    /** @param {{how: How, two: boolean, held: boolean, names: readonly [string, string], changed: string | null}} shown */
    render: ({ how, two, held, names, changed }) => {
      const one = !two || held ? 0 : how === "blink" ? 1 : null;
      const both = one === null && how !== "difference";
      parting.render(both && how === "slider");
      left.hidden = !both && one !== 0;
      right.hidden = !both && one !== 1;
      setText(left, names[0]);
      setText(right, names[1]);
      ways.set(how);
      bar.hidden = !two;
      hold.hidden = !two || how !== "blink";
      hold.classList.toggle("on", held);
      note.hidden = !two || how !== "difference" || held;
      setText(note, changed === null ? t("compare.amplified") : t("compare.changed", { share: changed }));
    },
  };
}

/** Make a button active while it is held by a pointer, Space or Enter. @param {HTMLElement} button @param {(on: boolean) => void} set */
function holdable(button, set) {
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && set(true));
  for (const end of ["lostpointercapture", "keyup", "blur"]) button.addEventListener(end, () => set(false));
}
