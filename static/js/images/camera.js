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
