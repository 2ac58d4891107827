import { h, setText } from "../../dom.js";
import { size, t } from "../../i18n.js";
import { place } from "../../images/camera.js";
import { partOf } from "../../images/pixels.js";
import { findLayer, isShown, selectionOf } from "../../state/doc.js";
import { frameOf, linesOf, middleOf, pointOn, rotated, seenBox, sized, toAngle, transform } from "../../state/transform.js";

/** @typedef {import("../../state/transform.js").Frame} Frame */
/** @typedef {import("../../state/transform.js").Part} Part */

/** The direction of each handle from the center. */
const HOLDS = /** @type {const} */ ({
  n: [0, -1],
  e: [1, 0],
  s: [0, 1],
  w: [-1, 0],
  nw: [-1, -1],
  ne: [1, -1],
  sw: [-1, 1],
  se: [1, 1],
});
const CURSORS = ["ew-resize", "nwse-resize", "ns-resize", "nesw-resize"];
/** The snapping distance in CSS pixels. */
export const REACH = 6;
/** The height of the bar at the top of the stage, which would cover a handle, in CSS pixels. */
const BAR = 110;
/** The rotation step with Shift, and the snapping distance of quarter turns, in degrees. */
const [STEP, QUARTER] = [15, 2];

/**
 * The frame around the selection's visible content, with handles for resizing and rotation, alignment guides,
 * and thin frames around each of several layers and around the layer whose row is hovered.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 */
export function createStageFrame(actions, bitmaps) {
  /** @type {{parts: readonly Part[], frame: Frame, camera: Camera, state: State} | null} */
  let shown = null;
  /** @type {Frame | null} the frame during a rotation */
  let turning = null;
  const handles = Object.entries(HOLDS).map(([name, [x, y]]) => {
    const handle = h("div", { class: `stage-handle ${name}` });
    listen(handle, (down) => beginSize(down, { x, y }));
    return { handle, angle: (Math.atan2(y, x) * 180) / Math.PI };
  });
  const turner = h("div.stage-handle.turn", { title: t("stage.turn") });
  listen(turner, beginTurn);
  const outline = h("div.stage-outline", { hidden: true }, ...handles.map(({ handle }) => handle), turner);
  const guides = { x: h("div.stage-guide.x", { hidden: true }), y: h("div.stage-guide.y", { hidden: true }) };
  const figure = h("div.stage-figure", { hidden: true });
  const lights = h("div");

  /** @param {HTMLElement} handle @param {(down: PointerEvent) => ((event: PointerEvent) => void) | null} begin   what each move does */
  function listen(handle, begin) {
    handle.addEventListener("pointerdown", (down) => {
      const follow = down.button === 0 ? begin(down) : null;
      if (follow === null) return;
      down.stopPropagation();
      down.preventDefault();
      const end = () => {
        handle.removeEventListener("pointermove", follow);
        rest();
        actions.endGesture();
      };
      handle.setPointerCapture(down.pointerId);
      handle.addEventListener("pointermove", follow);
      handle.addEventListener("lostpointercapture", end, { once: true });
    });
  }

  /** @param {PointerEvent} down @param {Point} hold */
  function beginSize(down, hold) {
    if (shown === null) return null;
    const { parts, frame, camera, state } = shown;
    const layers = parts.map(({ layer }) => layer);
    const lines = linesAround(state.doc, layers, bitmaps);
    return (/** @type {PointerEvent} */ event) => {
      const way = { x: (event.clientX - down.clientX) / camera.scale, y: (event.clientY - down.clientY) / camera.scale };
      const reach = event.ctrlKey || event.metaKey || frame.angle % 90 !== 0 ? -1 : REACH / camera.scale;
      const { change, ends } = sized(frame, hold, way, { free: event.shiftKey, centered: event.altKey }, lines, reach);
      actions.run(transform(layers, change, "command.scale"));
      guide(ends);
      say(size(Math.round(frame.width * Math.abs(change.across)), Math.round(frame.height * Math.abs(change.down))));
    };
  }

  /** @param {PointerEvent} down */
  function beginTurn(down) {
    if (shown === null) return null;
    const { parts, frame, camera } = shown;
    const layers = parts.map(({ layer }) => layer);
    const from = middleOf(frame);
    const { left, top } = /** @type {HTMLElement} */ (outline.parentElement).getBoundingClientRect();
    const [x, y] = [left + camera.x + from.x * camera.scale, top + camera.y + from.y * camera.scale];
    const bearing = (/** @type {PointerEvent} */ event) => (Math.atan2(event.clientY - y, event.clientX - x) * 180) / Math.PI;
    const before = bearing(down);
    return (/** @type {PointerEvent} */ event) => {
      const angle = steady(frame.angle + bearing(event) - before, event);
      turning = { ...frame, angle };
      actions.run(transform(layers, { from, turn: angle - frame.angle }, "command.turn"));
      say(t("number.degrees", { value: toAngle(angle) }));
    };
  }

  /** @param {string} words */
  function say(words) {
    figure.hidden = false;
    setText(figure, words);
  }

  function rest() {
    turning = null;
    figure.hidden = true;
    guide({ x: null, y: null });
  }

  /** Show the lines of snapping. @param {{x: number | null, y: number | null}} lines */
  function guide(lines) {
    if (shown === null) return;
    const { camera } = shown;
    for (const axis of /** @type {const} */ (["x", "y"])) {
      const line = lines[axis];
      guides[axis].hidden = line === null;
      if (line !== null) guides[axis].style[axis === "x" ? "left" : "top"] = `${camera[axis] + line * camera.scale}px`;
    }
  }

  /** @param {readonly Part[]} parts   those of several that are selected @param {Layer | null} pointed @param {Camera} camera */
  function light(parts, pointed, camera) {
    const lit = [
      ...(parts.length > 1 ? parts : []),
      ...(pointed === null || parts.some(({ layer }) => layer === pointed) ? [] : [partOf(pointed, bitmaps)]),
    ];
    while (lights.childElementCount < lit.length) lights.append(h("div.stage-light"));
    while (lights.childElementCount > lit.length) lights.lastChild?.remove();
    for (const [index, part] of lit.entries()) {
      const element = /** @type {HTMLElement} */ (lights.children[index]);
      element.classList.toggle("pointed", part.layer === pointed);
      lay(element, frameOf([part]), camera);
    }
  }

  return {
    elements: [lights, guides.x, guides.y, outline, figure],
    guide,
    rest,
    inHand: (/** @type {boolean} */ on) => outline.classList.toggle("in-hand", on),

    /** @param {Point} point   of the stage */
    covers: ({ x, y }) => {
      if (shown === null) return false;
      const { frame, camera } = shown;
      const middle = middleOf(frame);
      const way = rotated({ x: (x - camera.x) / camera.scale - middle.x, y: (y - camera.y) / camera.scale - middle.y }, -frame.angle);
      return Math.abs(way.x) <= frame.width / 2 && Math.abs(way.y) <= frame.height / 2;
    },

    /** @param {State | null} state   null if there is nothing to frame @param {Camera} camera   in CSS pixels */
    render: (state, camera) => {
      const seen =
        state === null ? [] : selectionOf(state).filter((layer) => isShown(state.doc, layer) && bitmaps.peek(layer.image) !== null);
      const parts = seen.map((layer) => partOf(layer, bitmaps));
      light(parts, state === null ? null : findLayer(state.doc, state.pointed), camera);
      outline.hidden = parts.length === 0;
      shown = null;
      if (state === null || parts.length === 0) return;
      const frame = turning ?? frameOf(parts);
      shown = { parts, frame, camera, state };
      outline.classList.toggle("small", Math.min(frame.width, frame.height) * camera.scale < 56);
      lay(outline, frame, camera);
      // Below the top bar the handle could not be grabbed.
      const top = pointOn(frame, { x: 0, y: -1 }).y * camera.scale + camera.y;
      outline.classList.toggle("low", top < BAR && Math.abs(frame.angle) < 90);
      const bottom = middleOf(frame).y + Math.hypot(frame.width, frame.height) / (frame.angle % 90 === 0 ? 2.8 : 2);
      Object.assign(figure.style, {
        left: `${camera.x + middleOf(frame).x * camera.scale}px`,
        top: `${camera.y + bottom * camera.scale}px`,
      });
      for (const { handle, angle } of handles) handle.style.cursor = CURSORS[((Math.round((angle + frame.angle) / 45) % 4) + 4) % 4];
    },
  };
}

/** An angle in steps with Shift; otherwise snapped to quarter turns, unless Ctrl is held. @param {number} angle @param {PointerEvent} held */
function steady(angle, { shiftKey, ctrlKey, metaKey }) {
  if (shiftKey) return Math.round(angle / STEP) * STEP;
  const quarter = Math.round(angle / 90) * 90;
  return !ctrlKey && !metaKey && Math.abs(angle - quarter) < QUARTER ? quarter : Math.round(angle * 10) / 10;
}

/** The lines for alignment: of the canvas and of the other visible layers. @param {Doc} doc @param {readonly Layer[]} layers @param {Bitmaps} bitmaps */
export function linesAround(doc, layers, bitmaps) {
  const others = doc.layers.filter((other) => isShown(doc, other) && !layers.some(({ id }) => id === other.id));
  return linesOf([{ x: 0, y: 0, width: doc.width, height: doc.height }, ...others.map((layer) => seenBox(partOf(layer, bitmaps)))]);
}

/** @param {HTMLElement} target @param {Frame} frame @param {Camera} camera */
function lay(target, { angle, ...box }, camera) {
  place(target, box, camera);
  target.style.rotate = angle === 0 ? "" : `${angle}deg`;
}
