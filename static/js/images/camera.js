/** The picture's position on the stage, in CSS pixels: a point p of the picture is at `p * scale + (x, y)`. */

const MIN_SCALE = 0.05;
const MAX_SCALE = 32;
/** The part of the picture, in pixels, that always stays visible. */
const KEEP = 48;

/**
 * The whole picture, centered on the stage, enlarged by at most `most`.
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
 * Zoom about a point of the stage.
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
 * Move by a number of pixels, as long as part of the picture stays visible.
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

/** The zoom factor of a key or a button. */
export const STEP = 1.25;

/**
 * A camera over a view, which draws at most once per frame. Its position is not in the store.
 *
 * @param {object} about
 * @param {() => Extent} about.extent          of the view
 * @param {() => Extent | null} about.content  of the content
 * @param {() => Camera} about.home            shows all of it
 * @param {() => void} about.draw              called with `camera` and `fitted` up to date
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

  /** @param {number} factor @param {Point} [point]   the fixed point, by default the center */
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
    /** The camera in device pixels. @returns {Camera} */
    get sharp() {
      const ratio = devicePixelRatio;
      return { scale: camera.scale * ratio, x: camera.x * ratio, y: camera.y * ratio };
    },
    get fitted() {
      return fitted;
    },
  };
}

/** The camera's key commands. @param {{zoomBy: (factor: number) => void, toFit: () => void}} camera @returns {Record<string, () => void>} */
export const zoomCommands = ({ zoomBy, toFit }) => ({ zoomIn: () => zoomBy(STEP), zoomOut: () => zoomBy(1 / STEP), fit: toFit });

/** The previous camera if the next one is equal, so that its drawings stay valid. @param {Camera} before @param {Camera} next */
const kept = (before, next) => (before.scale === next.scale && before.x === next.x && before.y === next.y ? before : next);

/** Resize a canvas to device pixels; returns whether its size changed. @param {HTMLCanvasElement} canvas @param {HTMLElement} view */
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
