import { h, setAttribute, setText } from "../../dom.js";
import { many, t } from "../../i18n.js";
import { createHeld, createLevels } from "../../images/bitmaps.js";
import { createViewport, fit, fitCanvas, place } from "../../images/camera.js";
import { createPainter } from "../../images/compositor.js";
import { patchLayer } from "../../state/doc.js";
import { atWork } from "../../state/initial.js";
import { previewOf } from "../../state/results.js";
import { pairOf } from "../../state/store.js";
import { onDemand } from "../../transport/api.js";
import { iconButton } from "../shell/fields.js";
import { contextMenu } from "../shell/menu.js";
import { createModeBar, createParting, createZoomBar } from "./bars.js";
import { listenToGestures } from "./gestures.js";
import { createStageTools } from "./tools.js";

/** The delay after the last change before layers are drawn sharply. */
const SETTLED_MS = 150;

/** Below this width of the stage the bar of a tool has two rows. */
const TWO_ROWS = 600;

/** The address of the picture of a layer during painting. */
const DRAFT = "draft";

/** Below this width the stage lies above the panels, as in the style sheets. */
const ONE_COLUMN = 760;
/** Below this height a phone is held across, or its keyboard is open, as in the style sheets. */
const SHORT = 480;

/**
 * The picture on its checkerboard.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @param {HTMLElement} welcome   the content of an empty stage
 */
export function createStage(actions, bitmaps, welcome) {
  let shown = "";
  /** The timer that runs while many layers move, else 0. */
  let settling = 0;
  /** @type {string | null} */
  let touched = null;
  /** @type {State | null} */
  let state = null;

  /** The compared states. */
  const pair = () => (state === null ? null : pairOf(state));
  const shownDoc = (/** @type {State} */ now) => pairOf(now)?.[1].doc ?? now.doc;
  const content = () => (state === null || state.doc.width === 0 ? null : shownDoc(state));
  const extent = () => ({ width: view.clientWidth, height: view.clientHeight });
  const viewport = createViewport({
    extent,
    content,
    home: () => fit(extent(), content() ?? extent(), margins(tools.inHand(), view.clientWidth, state?.mode ?? "layers")),
    draw,
  });
  const { schedule, zoomBy, zoomTo, toFit, pan } = viewport;
  const levels = createLevels(schedule);
  // During painting a layer is drawn from its canvas.
  const shownPictures = {
    ...bitmaps,
    peek: (/** @type {string} */ address) => (address === DRAFT ? tools.draft() : bitmaps.peek(address)),
  };
  const paint = createPainter(/** @type {Bitmaps} */ (shownPictures), (picture, scale) =>
    picture instanceof HTMLCanvasElement ? picture : levels(picture, scale),
  );
  const canvas = h("canvas.stage-canvas", { role: "img" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const paper = h("div.stage-paper.checkerboard", { hidden: true });
  const tools = createStageTools(actions, viewport);
  const view = h("div.stage-view", { tabIndex: 0, role: "application", "aria-label": t("stage.keys") }, paper, canvas, tools.veil);
  /** @type {ReturnType<typeof import("./pointer.js").createHand> | null} pointer actions on layers, loaded when there are some */
  let hand = null;
  const parting = createParting(t("stage.parting"), view, schedule);
  const tags = ["left", "right"].map((side) => h("span", { class: `compare-tag ${side}` }));
  const modes = createModeBar(actions);
  const compare = iconButton("compare", t("stage.compare"), () => actions.show(state?.mode === "layers" ? "slider" : "layers"));
  compare.classList.add("zoom-compare");
  const zoom = createZoomBar(viewport, [...tools.buttons, compare]);
  const error = h("p.stage-error", { role: "alert", hidden: true });
  const held = createHeld(bitmaps, () => state !== null && render(state));
  /** @type {ReturnType<typeof previewOf>} what a run makes */
  let preview = null;
  const previewWords = h("span", t("edit.preview"));
  const previewButton = h("button.button.small", { onclick: actions.togglePreview });
  const previewBar = h("div.stage-preview", { hidden: true }, previewWords, previewButton);
  const element = h(
    "section.stage",
    { id: "stage", tabIndex: -1, "aria-label": t("stage.region") },
    view,
    ...parting.elements,
    ...tags,
    modes.element,
    previewBar,
    tools.element,
    welcome,
    error,
    zoom.element,
  );

  function draw() {
    if (state === null) return;
    const { mode, upload, selected, tool } = state;
    const against = pair()?.[0].doc ?? null;
    const previewed = state.previewing && mode === "layers" && tool === null && against === null ? preview : null;
    const doc = previewed?.doc ?? shownDoc(state);
    const { camera } = viewport;
    const empty = doc.width === 0 || upload !== null;
    paper.hidden = canvas.hidden = tools.veil.hidden = empty;
    parting.render(mode === "slider" && !empty);
    for (const tag of tags) tag.hidden = mode !== "slider" || empty;
    setText(tags[0], against === null ? t("stage.mode.original") : t("stage.mode.before"));
    setText(tags[1], against === null ? t("stage.mode.layers") : t("stage.mode.after"));
    if (empty) return hand?.render(null);
    fitCanvas(canvas, view);
    const drawn = tool?.kind === "brush" && tool.draft !== null ? patchLayer(doc, tool.draft.id, { image: DRAFT }) : doc;
    const first = drawn === doc ? touched : (selected ?? touched);
    paint(context, {
      doc: drawn,
      against,
      mode: (doc.layers.length === 0 && against === null) || tool?.kind === "things" ? "original" : mode,
      camera: viewport.sharp,
      touched: first,
      share: parting.share(),
      hasty: settling !== 0,
    });
    tools.draw(view);
    place(paper, { x: 0, y: 0, width: doc.width, height: doc.height }, camera);
    hand?.render(takesHold() ? state : null);
    // If the whole picture is visible, a finger scrolls the page, except in the frame of a tapped layer.
    view.classList.toggle("scrolls", viewport.fitted && tool === null);
    return zoom.render(viewport);
  }

  const bringHand = onDemand(async () => {
    const { createHand } = await import("./pointer.js");
    hand = createHand({ actions, bitmaps, state: () => state, viewport });
    view.append(...hand.elements);
    arrived();
  });

  /** Many rotated pictures take longer to draw than a frame: while they move they are drawn at half the resolution. */
  function hurry() {
    clearTimeout(settling);
    settling = setTimeout(() => {
      settling = 0;
      schedule();
    }, SETTLED_MS);
  }

  /** A click finds only layers with loaded pictures; until all are loaded, the canvas is marked as busy. */
  function tellBusy() {
    const waits = hand === null && state !== null && state.doc.layers.length > 0;
    setAttribute(canvas, "aria-busy", String(waits || pictures(state).some(bitmaps.awaits)));
  }

  function arrived() {
    tellBusy();
    schedule();
  }

  const slides = () => state?.mode === "slider";
  /** Whether layers are shown and can be grabbed. */
  const takesHold = () =>
    state !== null && state.mode === "layers" && state.tool === null && pair() === null && !(state.previewing && isDecompose(preview));
  listenToGestures(view, {
    zoomBy,
    pan,
    scrolls: () => viewport.fitted,
    grab: (point, touch, event) =>
      tools.inHand()
        ? tools.grab(point, event)
        : slides() && (viewport.fitted || parting.isNear(point.x))
          ? parting.hold(point)
          : takesHold()
            ? (hand?.grab(point, touch, event) ?? null)
            : null,
    click: (point, touch, event) => {
      // The press has opened a menu, so it is not a click.
      if (document.querySelector(".menu") !== null) return undefined;
      if (tools.inHand()) return tools.click(point, event);
      if (slides()) return parting.slideTo(point.x);
      if (takesHold()) hand?.click(point, touch, event);
      return schedule();
    },
  });
  contextMenu(view, (_, at) => {
    const { left, top } = view.getBoundingClientRect();
    const found = !takesHold() ? null : (hand?.menu(at && { x: at.x - left, y: at.y - top }) ?? null);
    return found && { anchor: view, ...found };
  });
  tools.follow(view);
  new ResizeObserver(schedule).observe(view);

  /** @param {State} next */
  function renderPreview(next) {
    preview = previewOf(next, held);
    previewBar.hidden = preview === null || next.mode !== "layers" || next.tool !== null || pairOf(next) !== null;
    if (preview === null) return;
    previewWords.hidden = !next.previewing;
    setText(previewButton, t(next.previewing ? "stage.previewHide" : "stage.previewShow"));
  }

  /** @param {State} next */
  function render(next) {
    const changed = changedLayers(state, next);
    if (changed.length > 0) touched = changed.length === 1 ? changed[0].id : null;
    if (changed.length > 1 && changed.some(({ rotation }) => rotation % 90 !== 0)) hurry();
    state = next;
    const { upload } = next;
    const doc = shownDoc(next);
    // Another picture, or another size, starts with the whole picture visible.
    const key = `${doc.picture?.image} ${doc.width} ${doc.height}`;
    if (key !== shown) toFit();
    shown = key;
    renderPreview(next);
    loadPictures(next, preview?.doc.layers ?? [], bitmaps, arrived);
    if (hand === null && doc.layers.length > 0) bringHand().catch(() => {});
    tellBusy();
    modes.element.hidden = (doc.layers.length === 0 && pair() === null) || upload !== null || next.tool !== null;
    element.dataset.mode = pair() === null ? next.mode : "states";
    setAttribute(compare, "aria-pressed", next.mode !== "layers");
    tools.render(next);
    modes.render(next, pair() !== null);
    view.hidden = content() === null;
    zoom.element.hidden = view.hidden || upload !== null;
    error.hidden = next.stageError === null;
    setText(error, next.stageError ?? "");
    setAttribute(canvas, "aria-label", doc.layers.length === 0 ? t("stage.picture") : many("stage.canvas", doc.layers.length));
    element.classList.toggle("busy", atWork(next, "decompose").length > 0 && preview === null);
    schedule();
  }

  return { element, zoomBy, zoomTo, toFit, hasFocus: () => view.contains(document.activeElement), render };
}

/** @param {ReturnType<typeof previewOf>} preview */
const isDecompose = (preview) => preview?.tracked.purpose.kind === "decompose";

/** Margins for the bars above and below. @param {boolean} tool   whether one is active @param {number} width   of the stage @param {Mode} mode */
function margins(tool, width, mode) {
  if (innerWidth >= ONE_COLUMN) return { side: 40, top: tool && width < TWO_ROWS ? 150 : 100, bottom: 80 };
  if (tool) return { side: 16, top: 140, bottom: 16 };
  const isShort = innerHeight < SHORT;
  if (isShort && innerWidth / innerHeight < 4 / 3) return { side: 8, top: 8, bottom: 8 };
  return { side: 8, top: mode === "layers" && !isShort ? 8 : 60, bottom: 68 };
}

/** The layers in which two states differ, so that repeated changes are drawn fast. @param {State | null} before @param {State} now */
function changedLayers(before, now) {
  if (before === null || before.doc === now.doc || before.doc.layers.length !== now.doc.layers.length) return [];
  return now.doc.layers.filter((layer, index) => layer !== before.doc.layers[index]);
}

/** The addresses of the pictures that the stage needs. @param {State | null} state */
function pictures(state) {
  if (state === null) return [];
  const docs = [state.doc, ...(pairOf(state) ?? []).map(({ doc }) => doc)];
  return [...new Set(docs.flatMap(({ layers, picture }) => [...layers.map(({ image }) => image), ...(picture ? [picture.image] : [])]))];
}

/** Load every picture of the stage; `arrived` is called for each, loaded or failed. @param {State} state @param {readonly Layer[]} previews   are loaded, and stay @param {Bitmaps} bitmaps @param {() => void} arrived */
function loadPictures(state, previews, bitmaps, arrived) {
  const addresses = pictures(state);
  bitmaps.pin([...addresses, ...previews.map(({ image }) => image)]);
  for (const address of addresses) if (bitmaps.peek(address) === null) bitmaps.load(address).then(arrived, arrived);
}
