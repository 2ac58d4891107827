import { PLAIN } from "../state/doc.js";
import { scaleAbout, toOffset } from "../state/placement.js";
import { onLayer } from "./command.js";

/** Where layers lie. All moves of one gesture start from the layer as it was when the gesture began. */

/** @param {Layer} layer @param {number} x @param {number} y */
export const moveTo = (layer, x, y) => onLayer("command.place", layer, { x: toOffset(x), y: toOffset(y) }, `place ${layer.id}`);

/** @param {Layer} layer @param {number} scale @param {Point} still   a point that stays where it is */
export const scaleTo = (layer, scale, still) => onLayer("command.scale", layer, scaleAbout(layer, scale, still), `scale ${layer.id}`);

/** @param {Layer} layer @param {"flipX" | "flipY"} axis */
export const flip = (layer, axis) => onLayer("command.flip", layer, { [axis]: !layer[axis] });

/** Back to where decompose put it. @param {Layer} layer */
export function resetPlace(layer) {
  const { x, y, scale, flipX, flipY } = PLAIN;
  return onLayer("command.reset", layer, { x, y, scale, flipX, flipY });
}
