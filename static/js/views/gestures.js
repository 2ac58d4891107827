// @ts-check
const WHEEL_SPEED = 0.0016;
const PINCH_SPEED = 0.01;
const LINE_PX = 16;

/**
 * @typedef {object} Moves
 * @property {(factor: number, point: {x: number, y: number}) => void} zoomBy
 * @property {(dx: number, dy: number) => void} pan
 * @property {() => void} toFit
 * @property {() => boolean} fitted   a picture in full view leaves a finger's drag to the page
 */

/**
 * Wheel, drag and pinch on the stage.
 * @param {HTMLElement} view
 * @param {Moves} moves
 */
export function listenToGestures(view, moves) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();

  /** @param {{clientX: number, clientY: number}} event */
  const place = (event) => {
    const { left, top } = view.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  view.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
      if (event.shiftKey) return moves.pan(-(event.deltaY || event.deltaX) * lines, 0);
      // A trackpad's pinch arrives as a wheel with Ctrl, in smaller steps.
      const speed = event.ctrlKey ? PINCH_SPEED : WHEEL_SPEED;
      moves.zoomBy(Math.exp(-event.deltaY * lines * speed), place(event));
    },
    { passive: false },
  );

  view.addEventListener("dblclick", moves.toFit);
  view.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    down.set(event.pointerId, place(event));
    if (event.pointerType === "mouse") event.preventDefault();
    view.setPointerCapture(event.pointerId);
  });

  view.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (before === undefined) return;
    const now = place(event);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, now);
    if (other !== undefined) pinch(before, now, other);
    else if (!moves.fitted()) moves.pan(now.x - before.x, now.y - before.y);
  });

  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    view.addEventListener(name, (event) => down.delete(event.pointerId));
  }

  /** @typedef {{x: number, y: number}} Point @type {(before: Point, now: Point, other: Point) => void} */
  function pinch(before, now, other) {
    const distance = (/** @type {Point} */ a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    moves.zoomBy(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    moves.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }
}
