import { command, onLayers } from "./commands.js";
import { matrixOf, OFFSET_LIMIT, placeBox, SCALE_LIMITS, toOffset, withLayers } from "./doc.js";

/**
 * Moves, resizes, rotates and mirrors layers together, in a frame around their visible content.
 *
 * @typedef {{layer: Layer, box: Box}} Part   `box`: the layer's visible content, in its own pixels
 * @typedef {Box & {angle: number}} Frame   a box rotated about its center, in degrees clockwise
 *
 * @typedef {object} Change
 * @property {Point} from
 * @property {Point} [to]        the new position of that point; by default it stays
 * @property {number} [across]   horizontal factor; negative mirrors
 * @property {number} [down]     vertical factor
 * @property {number} [axes]     rotation of these two axes, in degrees clockwise
 * @property {number} [turn]     degrees clockwise, after all that
 */

const STRETCH_LIMITS = [0.01, 100];

/** @param {Part} part @returns {Box}   in the document */
export const seenBox = ({ layer, box }) => placeBox(layer, box);

/** @param {Box} box @returns {Point} */
export const middleOf = ({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 });

/** The box around boxes. @param {readonly Box[]} boxes @returns {Box} */
export function around(boxes) {
  const [x, y] = [Math.min(...boxes.map((box) => box.x)), Math.min(...boxes.map((box) => box.y))];
  const [right, bottom] = [Math.max(...boxes.map((box) => box.x + box.width)), Math.max(...boxes.map((box) => box.y + box.height))];
  return { x, y, width: right - x, height: bottom - y };
}

/** The frame of one layer is rotated with it; that of several is their bounding box. @param {readonly Part[]} parts   at least one @returns {Frame} */
export function frameOf(parts) {
  if (parts.length > 1) return { ...around(parts.map(seenBox)), angle: 0 };
  const [{ layer, box }] = parts;
  const [width, height] = [box.width * layer.scale, box.height * layer.scale * layer.stretch];
  const middle = placed(layer, middleOf(box));
  return { x: middle.x - width / 2, y: middle.y - height / 2, width, height, angle: layer.rotation };
}

/** A point from frame coordinates: (0, 0) at the center, ±1 at the edges. @param {Frame} frame @param {Point} hold @returns {Point} */
export function pointOn(frame, hold) {
  const [middle, way] = [middleOf(frame), rotated({ x: (hold.x * frame.width) / 2, y: (hold.y * frame.height) / 2 }, frame.angle)];
  return { x: middle.x + way.x, y: middle.y + way.y };
}

/** @param {Point} point @param {number} angle   degrees clockwise @returns {Point} */
export function rotated({ x, y }, angle) {
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  return { x: cos * x - sin * y, y: sin * x + cos * y };
}

/** From −180, not included, to 180, in hundredths. @param {number} angle */
export const toAngle = (angle) => Math.round((angle - 360 * Math.ceil((angle - 180) / 360)) * 100) / 100 || 0;

/**
 * A layer's transform after a change. It keeps its right angles: one that is stretched along other axes than its own is
 * scaled by the factors of its sides.
 * @param {Layer} layer @param {Change} change
 */
export function transformed(layer, { from, to = from, across = 1, down = 1, axes = 0, turn = 0 }) {
  const own = layer.rotation - axes;
  const along = rotated({ x: 1, y: 0 }, own);
  const wider = Math.hypot(across * along.x, down * along.y);
  const higher = Math.hypot(across * along.y, down * along.x);
  const scale = fitting(layer.scale * wider, SCALE_LIMITS);
  const even = Math.abs(higher / wider - 1) < 1e-9;
  const stretch = even ? layer.stretch : fitting((layer.stretch * layer.scale * higher) / scale, STRETCH_LIMITS);
  const [flipX, flipY] = [across < 0 !== layer.flipX, down < 0 !== layer.flipY];
  const rotation = toAngle(axes + (across < 0 === down < 0 ? own : -own) + turn);
  // If limits reduce the scale, reduce the distance from the fixed point as well.
  const [kept, keptDown] = [scale / (layer.scale * wider), (scale * stretch) / (layer.scale * layer.stretch * higher)];
  const middle = placed(layer, { x: layer.width / 2, y: layer.height / 2 });
  const way = rotated({ x: middle.x - from.x, y: middle.y - from.y }, -axes);
  const end = rotated({ x: way.x * across * kept, y: way.y * down * keptDown }, axes + turn);
  const next = { scale, stretch, rotation, flipX, flipY };
  const start = placed({ ...layer, ...next, x: 0, y: 0 }, { x: layer.width / 2, y: layer.height / 2 });
  return { ...next, x: toOffset(to.x + end.x - start.x), y: toOffset(to.y + end.y - start.y) };
}

/** A layer's pixel in the document. @param {Placed} layer @param {Point} point @returns {Point} */
function placed(layer, { x, y }) {
  const [a, b, c, d, e, f] = matrixOf(layer);
  return { x: a * x + c * y + e, y: b * x + d * y + f };
}

/** @param {number} value @param {number[]} limits */
const fitting = (value, [least, most]) => Math.min(most, Math.max(least, Math.round(value * 1e4) / 1e4));

/** All changes of one gesture start from the layers as they were when it began. @param {readonly Layer[]} layers @param {Change} change @param {Command["title"]} [title] @param {boolean} [alone]   whether it is a step by itself */
export const transform = (layers, change, title = "command.transform", alone = false) =>
  onLayers(title, layers, (layer) => transformed(layer, change), alone ? null : `${title} ${layers.map(({ id }) => id)}`);

/** @param {readonly Layer[]} layers @param {number} dx @param {number} dy */
export function moveBy(layers, dx, dy) {
  // Move all by the same whole pixels, even if one of them reaches a limit.
  const within = (/** @type {"x" | "y"} */ axis, /** @type {number} */ way) => {
    const [least, most] = [Math.min(...layers.map((layer) => layer[axis])), Math.max(...layers.map((layer) => layer[axis]))];
    return Math.min(OFFSET_LIMIT - most, Math.max(-OFFSET_LIMIT - least, Math.round(way)));
  };
  const [right, under] = [within("x", dx), within("y", dy)];
  return onLayers("command.place", layers, ({ x, y }) => ({ x: x + right, y: y + under }), `place ${layers.map(({ id }) => id)}`);
}

/** Mirror layers within the frame around them, in the document's axes. @param {readonly Part[]} parts @param {"flipX" | "flipY"} axis */
export function mirror(parts, axis) {
  const change = { from: middleOf(frameOf(parts)), ...(axis === "flipX" ? { across: -1 } : { down: -1 }) };
  const layers = parts.map(({ layer }) => layer);
  return transform(layers, change, "command.flip", true);
}

/** Set the canvas to a box in the current one; layers and picture keep their positions. @param {Box} box */
export const setCanvas = (box) =>
  command("command.canvas", {}, (doc) => {
    const [left, top] = [Math.round(box.x), Math.round(box.y)];
    const [width, height] = [Math.max(1, Math.round(box.x + box.width) - left), Math.max(1, Math.round(box.y + box.height) - top)];
    if (left === 0 && top === 0 && width === doc.width && height === doc.height) return doc;
    const before = doc.frame ?? { x: 0, y: 0, width: doc.width, height: doc.height };
    const frame = { ...before, x: before.x - left, y: before.y - top };
    const moved = doc.layers.map((layer) => ({ ...layer, x: toOffset(layer.x - left), y: toOffset(layer.y - top) }));
    return withLayers({ ...doc, width, height, frame }, moved);
  });

// Alignment of layers.

/** @typedef {"left" | "center" | "right" | "top" | "middle" | "bottom"} Alignment */
const SIDES = /** @type {Record<Alignment, [axis: "x" | "y", share: number]>} */ ({
  left: ["x", 0],
  center: ["x", 0.5],
  right: ["x", 1],
  top: ["y", 0],
  middle: ["y", 0.5],
  bottom: ["y", 1],
});
const LENGTHS = /** @type {const} */ ({ x: "width", y: "height" });

/** Align several layers with the box around them, one with the canvas. @param {readonly Part[]} parts @param {Alignment} how @param {Extent} canvas */
export function align(parts, how, canvas) {
  const [axis, share] = SIDES[how];
  const boxes = spans(parts, axis);
  const { start, length } = parts.length > 1 ? spanOf(boxes) : { start: 0, length: canvas[LENGTHS[axis]] };
  return shift("command.align", parts, axis, (index) => start + share * (length - boxes[index].length) - boxes[index].start);
}

/** Space layers evenly; the outermost ones stay. @param {readonly Part[]} parts   at least three @param {"x" | "y"} axis */
export function distribute(parts, axis) {
  const boxes = spans(parts, axis);
  const order = [...boxes].sort((a, b) => a.start + a.length / 2 - b.start - b.length / 2);
  const { start, length } = spanOf(boxes);
  const gap = (length - boxes.reduce((sum, box) => sum + box.length, 0)) / (boxes.length - 1);
  const before = (/** @type {number} */ place) => order.slice(0, place).reduce((sum, box) => sum + box.length + gap, start);
  return shift("command.distribute", parts, axis, (index) => before(order.indexOf(boxes[index])) - boxes[index].start);
}

/** Each layer's span along an axis. @param {readonly Part[]} parts @param {"x" | "y"} axis */
const spans = (parts, axis) => parts.map(seenBox).map((box) => ({ start: box[axis], length: box[LENGTHS[axis]] }));

/** @param {{start: number, length: number}[]} boxes */
function spanOf(boxes) {
  const start = Math.min(...boxes.map((box) => box.start));
  return { start, length: Math.max(...boxes.map((box) => box.start + box.length)) - start };
}

/** @param {Command["title"]} title @param {readonly Part[]} parts @param {"x" | "y"} axis @param {(index: number) => number} way */
function shift(title, parts, axis, way) {
  const places = new Map(parts.map(({ layer }, index) => [layer.id, toOffset(layer[axis] + way(index))]));
  const layers = parts.map(({ layer }) => layer);
  return onLayers(title, layers, (layer) => ({ [axis]: places.get(layer.id) }));
}

/** @typedef {{x: readonly number[], y: readonly number[]}} Lines   for alignment, in the document */

/** The edges and centers of boxes. @param {readonly Box[]} boxes @returns {Lines} */
export const linesOf = (boxes) => ({
  x: boxes.flatMap(({ x, width }) => [x, x + width / 2, x + width]),
  y: boxes.flatMap(({ y, height }) => [y, y + height / 2, y + height]),
});

/** The line nearest to any of the places, and the offset to it; null if none is within reach. @param {readonly number[]} places @param {readonly number[]} lines @param {number} reach @returns {{line: number, by: number} | null} */
export function nearest(places, lines, reach) {
  const ways = places.flatMap((place) => lines.map((line) => ({ line, by: line - place }))).filter(({ by }) => Math.abs(by) <= reach);
  return ways.reduce(
    (best, way) => (best === null || Math.abs(way.by) < Math.abs(best.by) ? way : best),
    /** @type {typeof ways[0] | null} */ (null),
  );
}

/**
 * A frame after a drag of a handle, and the lines to which it snapped.
 * @param {Frame} frame
 * @param {Point} hold
 * @param {Point} way   of the pointer, in the document
 * @param {{free: boolean, centered: boolean}} held   `free`: a corner need not keep the ratio; `centered`: the center stays, not the opposite side
 * @param {Lines} lines
 * @param {number} reach   of a line, in the document; below 0 for none
 */
export function sized(frame, hold, way, { free, centered }, lines, reach) {
  const from = centered ? middleOf(frame) : pointOn(frame, { x: -hold.x, y: -hold.y });
  const far = { x: (frame.width * hold.x) / (centered ? 2 : 1), y: (frame.height * hold.y) / (centered ? 2 : 1) };
  const even = hold.x !== 0 && hold.y !== 0 && !free;
  const factors = (/** @type {Point} */ end) => {
    const to = { across: hold.x === 0 ? 1 : end.x / far.x, down: hold.y === 0 ? 1 : end.y / far.y };
    if (!even) return to;
    // Only the movement along the diagonal counts, so that the corner follows a pointer beside it.
    const along = (end.x * far.x + end.y * far.y) / (far.x ** 2 + far.y ** 2);
    return { across: along, down: along };
  };
  const own = rotated(way, -frame.angle);
  let { across, down } = factors({ x: far.x + own.x, y: far.y + own.y });
  const end = rotated({ x: far.x * across, y: far.y * down }, frame.angle);
  const moves = rotated(hold, frame.angle);
  const found = {
    x: Math.abs(moves.x) > 0.5 ? nearest([from.x + end.x], lines.x, reach) : null,
    y: Math.abs(moves.y) > 0.5 ? nearest([from.y + end.y], lines.y, reach) : null,
  };
  // A corner that keeps the ratio can snap to only one line.
  if (even && found.x !== null && found.y !== null) found[Math.abs(found.x.by) > Math.abs(found.y.by) ? "x" : "y"] = null;
  const drawn = { x: end.x + (found.x?.by ?? 0), y: end.y + (found.y?.by ?? 0) };
  if (even && found.x !== null) [across, down] = [(across * drawn.x) / end.x, (down * drawn.x) / end.x];
  else if (even && found.y !== null) [across, down] = [(across * drawn.y) / end.y, (down * drawn.y) / end.y];
  else if (found.x !== null || found.y !== null) ({ across, down } = factors(rotated(drawn, -frame.angle)));
  const least = (/** @type {number} */ factor, /** @type {number} */ side) =>
    Math.abs(factor) * side < 1 ? (factor < 0 ? -1 : 1) / side : factor;
  const change = { from, across: least(across, frame.width), down: least(down, frame.height), axes: frame.angle };
  return { change, ends: { x: found.x?.line ?? null, y: found.y?.line ?? null } };
}
