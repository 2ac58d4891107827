/** Where the picture lies on the stage, in CSS pixels: a point p of the picture is at `p * scale + (x, y)`. */

const MIN_SCALE = 0.05;
const MAX_SCALE = 32;
/** This much of the picture stays in sight however far it is moved. */
const KEEP = 48;

/**
 * The whole picture, in the middle of the stage, never enlarged by more than `most`.
 * @param {Extent} stage
 * @param {Extent} picture
 * @param {{top: number, side: number, bottom: number}} margin
 * @param {number} [most]
 * @returns {Camera}
 */
export function fit(stage, picture, margin, most = 2) {
  const width = stage.width - 2 * margin.side;
  const height = stage.height - margin.top - margin.bottom;
  const scale = Math.max(0.01, Math.min(width / picture.width, height / picture.height, most));
  return {
    scale,
    x: margin.side + (width - picture.width * scale) / 2,
    y: margin.top + (height - picture.height * scale) / 2,
  };
}

/**
 * Enlarge about a point of the stage.
 * @param {Camera} camera
 * @param {number} factor
 * @param {{x: number, y: number}} point
 * @returns {Camera}
 */
export function zoomAt(camera, factor, point) {
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, camera.scale * factor));
  const ratio = scale / camera.scale;
  return { scale, x: point.x - (point.x - camera.x) * ratio, y: point.y - (point.y - camera.y) * ratio };
}

/**
 * Move by so many pixels, as far as some of the picture stays in sight.
 * @param {Camera} camera
 * @param {number} dx
 * @param {number} dy
 * @param {Extent} stage
 * @param {Extent} picture
 * @returns {Camera}
 */
export function panBy(camera, dx, dy, stage, picture) {
  const { scale } = camera;
  return {
    scale,
    x: Math.min(stage.width - KEEP, Math.max(KEEP - picture.width * scale, camera.x + dx)),
    y: Math.min(stage.height - KEEP, Math.max(KEEP - picture.height * scale, camera.y + dy)),
  };
}

/** What a key or a button zooms by. */
export const STEP = 1.25;

/**
 * A camera over a view, and one drawing a frame. Where it stands is its own business, not the store's.
 *
 * @param {object} about
 * @param {() => Extent} about.extent          of what the camera looks through
 * @param {() => Extent | null} about.content  of what it looks at
 * @param {() => Camera} about.home            where all of it is in sight
 * @param {() => void} about.draw              `camera` and `fitted` are up to date then
 */
export function createViewport({ extent, content, home, draw }) {
  /** @type {Camera} */
  let camera = { scale: 1, x: 0, y: 0 };
  let [fitted, frame] = [true, 0];

  function schedule() {
    if (frame === 0) frame = requestAnimationFrame(look);
  }

  function look() {
    frame = 0;
    if (fitted && content() !== null) camera = kept(camera, home());
    draw();
  }

  /** @param {Camera} next @param {number} [dx] @param {number} [dy] */
  function move(next, dx = 0, dy = 0) {
    const seen = content();
    if (seen === null) return;
    camera = panBy(next, dx, dy, extent(), seen);
    fitted = false;
    schedule();
  }

  /** @param {number} factor @param {Point} [point]   what stays where it is, else the middle */
  function zoomBy(factor, point = { x: extent().width / 2, y: extent().height / 2 }) {
    move(zoomAt(camera, factor, point));
  }

  return {
    schedule,
    zoomBy,
    zoomTo: (/** @type {number} */ scale) => zoomBy(scale / camera.scale),
    pan: (/** @type {number} */ dx, /** @type {number} */ dy) => move(camera, dx, dy),
    toFit: () => {
      fitted = true;
      schedule();
    },
    get camera() {
      return camera;
    },
    /** The camera in pixels of the screen. @returns {Camera} */
    get sharp() {
      const ratio = devicePixelRatio;
      return { scale: camera.scale * ratio, x: camera.x * ratio, y: camera.y * ratio };
    },
    get fitted() {
      return fitted;
    },
  };
}

/** What keys do to a camera. @param {{zoomBy: (factor: number) => void, toFit: () => void}} camera @returns {Record<string, () => void>} */
export const zoomCommands = ({ zoomBy, toFit }) => ({ zoomIn: () => zoomBy(STEP), zoomOut: () => zoomBy(1 / STEP), fit: toFit });

/** The camera as it was, where the next one looks the same: what was drawn for it is still good. @param {Camera} before @param {Camera} next */
const kept = (before, next) => (before.scale === next.scale && before.x === next.x && before.y === next.y ? before : next);

/** Give a canvas a pixel for each of the screen's; whether that changed its size. @param {HTMLCanvasElement} canvas @param {HTMLElement} view */
export function fitCanvas(canvas, view) {
  const [width, height] = [view.clientWidth, view.clientHeight].map((side) => Math.round(side * devicePixelRatio));
  if (canvas.width === width && canvas.height === height) return false;
  Object.assign(canvas, { width, height });
  return true;
}

/** Lay an element over a part of the picture. @param {HTMLElement} target @param {Box} box @param {Camera} camera */
export function place(target, box, camera) {
  Object.assign(target.style, {
    left: `${camera.x + box.x * camera.scale}px`,
    top: `${camera.y + box.y * camera.scale}px`,
    width: `${box.width * camera.scale}px`,
    height: `${box.height * camera.scale}px`,
  });
}
