const WHEEL_SPEED = 0.0016;
const PINCH_SPEED = 0.01;
const LINE_PX = 16;
/** A press that moves less than this is a click. */
const SLACK_PX = 4;

/**
 * @typedef {object} Drag
 * @property {(by: Point, event: PointerEvent) => void} drag   `by`: since the press, in CSS pixels
 * @property {() => void} end
 * @property {() => void} [cancel]   called instead of `end` if a second finger turns the drag into a pinch
 *
 * @typedef {object} Moves
 * @property {(factor: number, point: Point) => void} zoomBy
 * @property {(dx: number, dy: number) => void} pan
 * @property {(point: Point, touch: boolean, event: PointerEvent) => Drag | null} grab   the object of a drag; null moves the camera
 * @property {(point: Point, touch: boolean, event: PointerEvent) => void} click
 * @property {() => boolean} [scrolls]   whether one finger scrolls the page, as the style says, and not the picture
 */

/** Wheel, drag and pinch on the stage. Space or the middle button always pans. @param {HTMLElement} view @param {Moves} moves */
export function listenToGestures(view, moves) {
  /** @type {Map<number, Point>} */
  const down = new Map();
  /** @type {{at: Point, held: Drag | null, moved: boolean} | null} */
  let press = null;
  let space = false;

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
  listenToSpace(view, (on) => (space = on));

  view.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    if (event.button === 1) event.preventDefault();
    // After a key press the browser would show a focus ring.
    view.classList.add("pointed");
    view.focus({ preventScroll: true });
    view.setPointerCapture(event.pointerId);
    const at = place(event);
    down.set(event.pointerId, at);
    leave(press?.held);
    const held = down.size > 1 || space || event.button === 1 ? null : moves.grab(at, event.pointerType === "touch", event);
    press = down.size > 1 ? null : { at, held, moved: false };
  });

  view.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (before === undefined) return;
    const now = place(event);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, now);
    if (other !== undefined) return pinch(before, now, other);
    if (press === null) return;
    const by = { x: now.x - press.at.x, y: now.y - press.at.y };
    if (!press.moved && Math.hypot(by.x, by.y) < SLACK_PX) return;
    press.moved = true;
    if (press.held !== null) press.held.drag(by, event);
    else if (event.pointerType !== "touch" || !moves.scrolls?.()) moves.pan(now.x - before.x, now.y - before.y);
  });

  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    view.addEventListener(name, (event) => {
      down.delete(event.pointerId);
      const ended = press;
      press = null;
      if (name === "pointerup") ended?.held?.end();
      else leave(ended?.held);
      if (ended !== null && !ended.moved && name === "pointerup" && event.button === 0 && !space)
        moves.click(ended.at, event.pointerType === "touch", event);
    });
  }

  /** @param {Drag | null | undefined} held */
  function leave(held) {
    if (held?.cancel) held.cancel();
    else held?.end();
  }

  for (const name of ["keydown", "blur"]) view.addEventListener(name, () => view.classList.remove("pointed"));

  /** @type {(before: Point, now: Point, other: Point) => void} */
  function pinch(before, now, other) {
    const distance = (/** @type {Point} */ a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    moves.zoomBy(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    moves.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }
}

/** Space over the stage turns the pointer into a hand. @param {HTMLElement} view @param {(on: boolean) => void} set */
function listenToSpace(view, set) {
  const turn = (/** @type {boolean} */ on) => {
    set(on);
    view.classList.toggle("hand", on);
  };
  view.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    turn(true);
  });
  view.addEventListener("keyup", (event) => event.key === " " && turn(false));
  view.addEventListener("blur", () => turn(false));
}
