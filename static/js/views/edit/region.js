import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { fitCanvas } from "../../images/camera.js";
import { maskOfMarks } from "../../images/painting.js";
import { sizeWithin } from "../../images/pixels.js";
import { editOf } from "../../state/results.js";
import { field, iconButton, segmented, sliderField } from "../shell/fields.js";
import { byFinger, createWay, drawMark, drawMask, drawRing, outline, sizeAt, sliderAt } from "../stage/tool-display.js";

const HOW = /** @type {const} */ (["all", "brush", "line", "box", "object"]);
/** The number of marks that count, the latest. */
const MAX_MARKS = 100;
/** Pixels on the longer side of the mask shown during drawing. */
const SHOWN_PX = 1024;
/** The step of an arrow key, in pixels of the screen; the second is with Shift. */
const [KEY_PX, FINE_PX] = [12, 1];
/** Points closer than this share of the brush, or this many pixels of the screen, are merged. */
const [NEAR_SHARE, NEAR_PX] = [0.1, 2];
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** The part of the layer that may change: all, or the marked region. @param {Actions} actions @param {() => string} layerId */
export function createRegionField(actions, layerId) {
  /** @type {readonly RegionMark[]} */
  let marks = [];
  const set = (/** @type {readonly RegionMark[]} */ region) => actions.setEdit(layerId(), { region });
  const how = segmented({
    label: t("region.title"),
    options: /** @type {[typeof HOW[number] | "none", string][]} */ (HOW.map((value) => [value, t(`region.${value}`)])),
    onpick: (value) => {
      if (value !== "all" && value !== "none") return actions.setMarking({ how: value });
      actions.putMarkingDown();
      return set([]);
    },
  });
  const way = createWay(t("select.adds"), t("select.takesAway"), (takesAway) => actions.setMarking({ takesAway }));
  const size = sliderField({ label: t("brush.size"), oninput: (value) => actions.setMarking({ size: sizeAt(value) }) });
  const undo = iconButton("undo", t("region.undo"), () => set(marks.slice(0, -1)));
  const clear = h("button.button.small", { type: "button", onclick: () => set([]) }, t("region.clear"));
  const line = h("div.region-line", way.element, undo, clear);
  const hint = h("p.hint", { role: "status" });
  const element = h("div.region", field(t("region.title"), how.element), line, size.element, hint);
  /** @type {Marking["how"] | undefined} */
  let inHand;
  return {
    element,
    /** @param {State} state */
    render: ({ marking, ...state }) => {
      const { region } = editOf({ marking, ...state }, layerId());
      marks = region;
      how.set(marking?.how ?? (region.length > 0 ? "none" : "all"));
      line.hidden = marking === null && region.length === 0;
      way.element.hidden = marking === null;
      way.set(marking?.takesAway ?? false);
      undo.disabled = clear.disabled = region.length === 0;
      size.element.hidden = marking?.how !== "brush";
      if (marking !== null) size.set(sliderAt(marking.size), [0, 100]);
      hint.hidden = line.hidden;
      const words =
        marking === null ? "region.marked" : marking.busy ? "region.looking" : /** @type {const} */ (`region.hint.${marking.how}`);
      setText(hint, t(marking?.how === "brush" ? byFinger(words, "region.hintTouch") : words));
      // On a phone the active tool's options would be below the fold.
      if (marking !== null && marking.how !== inHand) requestAnimationFrame(() => element.scrollIntoView({ block: "nearest" }));
      inHand = marking?.how;
    },
  };
}

/**
 * The marks of a layer over its picture, and drawing by pointer or keys.
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @param {() => {camera: Camera, sharp: Camera, schedule: () => void}} viewport
 */
export function createRegionVeil(actions, bitmaps, viewport) {
  /** @type {{layer: Layer, region: readonly RegionMark[], marking: Marking | null} | null} */
  let shown = null;
  /** @type {RegionMark | null} the mark being drawn */
  let drawing = null;
  /** @type {Point | null} where the brush is, in CSS pixels of the view */
  let hover = null;
  /** @type {Point | null} the cross moved by keys, likewise */
  let cross = null;
  /** @type {import("../stage/gestures.js").Drag | null} the drag started by keys */
  let held = null;
  const element = h("canvas.stage-veil", { "aria-hidden": "true" });
  const context = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d"));

  /** @param {Point} point @returns {Point}   in pixels of the layer */
  function toLayer({ x, y }) {
    const { camera } = viewport();
    const round = (/** @type {number} */ value) => Math.round(value * 10) / 10;
    return { x: round((x - camera.x) / camera.scale), y: round((y - camera.y) / camera.scale) };
  }

  const width = () => (shown?.marking?.size ?? 0) * Math.max(shown?.layer.width ?? 0, shown?.layer.height ?? 0);

  /** @param {Point} start @param {{altKey: boolean, button?: number, pointerType?: string, pressure?: number}} down @returns {import("../stage/gestures.js").Drag | null} */
  function grab(start, down) {
    if (!shown?.marking || shown.marking.busy) return null;
    const { layer, marking } = shown;
    const takesAway = (down.altKey || down.button === 2) !== marking.takesAway;
    const isObject = marking.how === "object";
    const kind = marking.how === "object" ? "box" : marking.how;
    const pressed = (/** @type {typeof down} */ { pointerType, pressure = 1 }) =>
      kind === "brush" ? { width: width() * (pointerType === "pen" ? 0.25 + 0.75 * pressure : 1) } : {};
    const first = { ...toLayer(start), ...pressed(down) };
    drawing = kind === "brush" ? { kind, takesAway, places: [first] } : null;
    viewport().schedule();
    return {
      drag: (by, event) => {
        hover = { x: start.x + by.x, y: start.y + by.y };
        const now = { ...toLayer(hover), ...pressed(event) };
        const before = drawing?.places ?? [first];
        const last = before.at(-1) ?? first;
        const near = kind === "brush" ? width() * NEAR_SHARE : NEAR_PX / viewport().camera.scale;
        if (kind === "box") drawing = { kind, takesAway, places: [first, now] };
        else if (Math.hypot(now.x - last.x, now.y - last.y) >= near) drawing = { kind, takesAway, places: [...before, now] };
        viewport().schedule();
      },
      end: () => {
        const mark = drawing;
        drawing = null;
        if (isObject) actions.markObject(layer, { kind: mark === null ? "point" : "box", takesAway, places: mark?.places ?? [first] });
        else if (mark !== null && (mark.kind !== "line" || mark.places.length > 2))
          actions.setEdit(layer.id, { region: [...(shown?.region ?? []), mark].slice(-MAX_MARKS) });
        viewport().schedule();
      },
      cancel: () => {
        drawing = null;
        viewport().schedule();
      },
    };
  }

  /** @param {HTMLElement} view */
  function follow(view) {
    view.addEventListener("pointermove", (event) => {
      if (!shown?.marking || event.pointerType === "touch") return;
      const { left, top } = view.getBoundingClientRect();
      hover = { x: event.clientX - left, y: event.clientY - top };
      cross = null;
      viewport().schedule();
    });
    for (const name of ["pointerleave", "blur"]) {
      view.addEventListener(name, () => {
        hover = cross = null;
        held?.cancel?.();
        held = null;
        viewport().schedule();
      });
    }
    view.addEventListener("contextmenu", (event) => shown?.marking && event.preventDefault());
  }

  /** Arrows move a cross; Enter begins a mark there, and ends it. @param {KeyboardEvent} event @param {Extent} extent   of the view */
  function press(event, extent) {
    const way = ARROWS[event.key];
    if (!shown?.marking || (way === undefined && event.key !== "Enter") || event.ctrlKey || event.metaKey) return false;
    cross ??= { x: extent.width / 2, y: extent.height / 2 };
    if (way === undefined) {
      const began = held === null;
      if (began) held = keyed(cross, event);
      else held?.end();
      if (!began) held = null;
    } else {
      const step = event.shiftKey ? FINE_PX : KEY_PX;
      const [right, bottom] = [extent.width, extent.height];
      cross = { x: Math.min(right, Math.max(0, cross.x + way[0] * step)), y: Math.min(bottom, Math.max(0, cross.y + way[1] * step)) };
      held?.drag(cross, /** @type {any} */ ({}));
    }
    viewport().schedule();
    return true;
  }

  /** A drag by absolute positions instead of offsets. @param {Point} start @param {KeyboardEvent} event */
  function keyed(start, event) {
    const drag = grab(start, { altKey: event.altKey });
    return (
      drag && {
        ...drag,
        drag: (/** @type {Point} */ at, /** @type {PointerEvent} */ by) => drag.drag({ x: at.x - start.x, y: at.y - start.y }, by),
      }
    );
  }

  return {
    element,
    follow,
    grab,
    press,
    inHand: () => shown?.marking != null,
    /** @param {HTMLElement} view */
    draw: (view) => {
      const { layer, region = [], marking = null } = shown ?? {};
      const all = drawing === null || marking?.how === "object" ? region : [...region, drawing];
      element.hidden = layer === undefined || (all.length === 0 && marking === null);
      if (element.hidden || layer === undefined) return;
      fitCanvas(element, view);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, element.width, element.height);
      const { sharp } = viewport();
      if (all.length > 0) drawMask(context, maskOfMarks(all, layer, sizeWithin(layer, SHOWN_PX), bitmaps.peek), layer, sharp);
      if (drawing?.kind === "box" || drawing?.kind === "line") drawMark(context, { ...drawing, kind: drawing.kind }, sharp);
      const at = cross ?? hover;
      if (marking?.how === "brush") drawRing(context, at && toLayer(at), width(), sharp);
      if (cross !== null) drawCross(context, cross);
    },
    /** @param {typeof shown} next */
    render: (next) => {
      if (shown?.layer.id !== next?.layer.id || !next?.marking) drawing = held = null;
      shown = next;
      for (const { mask } of next?.region ?? [])
        if (mask !== undefined && bitmaps.peek(mask) === null) bitmaps.load(mask).then(viewport().schedule, () => {});
    },
  };
}

const CROSS_PX = 10;

/** @param {CanvasRenderingContext2D} context @param {Point} at   in CSS pixels */
function drawCross(context, { x, y }) {
  const ratio = devicePixelRatio;
  const [left, top, reach] = [x * ratio, y * ratio, CROSS_PX * ratio];
  context.beginPath();
  context.moveTo(left - reach, top);
  context.lineTo(left + reach, top);
  context.moveTo(left, top - reach);
  context.lineTo(left, top + reach);
  context.setLineDash([]);
  outline(context, "#fff", ratio);
}
