/** Differences are doubled so often: one 255th is nothing to see. */
const DOUBLINGS = 2;

/**
 * What differs between two drawings within a box, on black, so that transparency counts as what it shows. The second
 * drawing is given a black ground.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {HTMLCanvasElement} first
 * @param {CanvasRenderingContext2D} second
 * @param {Box} box
 */
export function drawDifference(context, first, second, { x, y, width, height }) {
  context.save();
  context.fillRect(x, y, width, height);
  context.drawImage(first, 0, 0);
  second.globalCompositeOperation = "destination-over";
  second.fillRect(x, y, width, height);
  context.globalCompositeOperation = "difference";
  context.drawImage(second.canvas, 0, 0);
  context.globalCompositeOperation = "lighter";
  for (let i = 0; i < DOUBLINGS; i += 1) context.drawImage(context.canvas, 0, 0);
  context.restore();
}
