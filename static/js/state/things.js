import { capabilitiesOf, mostLayers } from "./initial.js";

/** Named boxes: the content of each becomes a separate layer, if the engine supports it. */

/** Whether the engine supports boxes. @param {State} state */
export const takesThings = (state) => capabilitiesOf(state).decompose.includes("regions");

/** The boxes on a picture; those on another one are ignored. @param {Partial<Settings>} settings @param {{image: string} | null} picture @returns {readonly Thing[]} */
export const thingsOn = ({ things }, picture) => (picture !== null && things?.picture === picture.image ? things.boxes : []);

/** The number of further boxes, negative if there are too many: one layer is for the rest. @param {State} state */
export const roomFor = (state) => mostLayers(state) - 1 - thingsOn(state.settings, state.doc.picture).length;

/** Whether too many boxes prevent a decomposition. @param {State} state */
export const hasTooMany = (state) => takesThings(state) && roomFor(state) < 0 && thingsOn(state.settings, state.doc.picture).length > 0;

/** @param {readonly Thing[]} things @returns {Wire.NamedRegion[]} */
export const regionsOf = (things) =>
  things.map(({ x, y, width, height, name }) => ({ box: [x, y, x + width, y + height], name: name.trim() }));

/** @param {number} value @param {number} least @param {number} most */
const within = (value, least, most) => Math.min(Math.max(value, least), most);

/** The box between two points of a document, in whole pixels of its picture; null if empty. @param {readonly Point[]} places @param {Doc} doc @returns {Box | null} */
export function boxAround(places, { picture, ...doc }) {
  if (picture === null) return null;
  const inside = (/** @type {number} */ value, /** @type {"width" | "height"} */ side) =>
    Math.round(within((value / doc[side]) * picture[side], 0, picture[side]));
  const [left, right] = places.map(({ x }) => inside(x, "width")).sort((a, b) => a - b);
  const [top, bottom] = places.map(({ y }) => inside(y, "height")).sort((a, b) => a - b);
  return left < right && top < bottom ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

/** The smallest box around a point of a document. @param {readonly Thing[]} things @param {Point} place @param {Doc} doc */
export function thingAt(things, { x, y }, { picture, ...doc }) {
  if (picture === null) return null;
  const [right, down] = [(x / doc.width) * picture.width, (y / doc.height) * picture.height];
  const around = things.filter((box) => right >= box.x && right <= box.x + box.width && down >= box.y && down <= box.y + box.height);
  return around.sort((a, b) => a.width * a.height - b.width * b.height)[0] ?? null;
}

/** A box near the center, offset by the number of earlier ones. @param {Extent} picture @param {number} before @returns {Box} */
export function boxAmid({ width, height }, before) {
  const [across, down] = [Math.ceil(width / 3), Math.ceil(height / 3)];
  const place = (/** @type {number} */ side, /** @type {number} */ length) =>
    Math.min(side - length, Math.floor(side / 3 + (before * side) / 50));
  return { x: place(width, across), y: place(height, down), width: across, height: down };
}

/** A box moved or resized by a hundredth of the picture. @param {Thing} thing @param {Point} by @param {boolean} sizes @param {Extent} picture @returns {Thing} */
export function nudged(thing, by, sizes, { width, height }) {
  const step = Math.max(1, Math.round(Math.max(width, height) / 100));
  const [right, down] = [by.x * step, by.y * step];
  if (!sizes) return { ...thing, x: within(thing.x + right, 0, width - thing.width), y: within(thing.y + down, 0, height - thing.height) };
  return { ...thing, width: within(thing.width + right, 1, width - thing.x), height: within(thing.height + down, 1, height - thing.y) };
}

/**
 * The part of a box at a point of a document: a corner, by its signs; the box itself, (0, 0); or null for none.
 * @param {Thing} thing
 * @param {Point} place
 * @param {number} reach   of a corner, in the document
 * @param {Doc} doc
 * @returns {Point | null}
 */
export function holdOf({ x, y, width, height }, place, reach, { picture, ...doc }) {
  if (picture === null) return null;
  const [across, down] = [doc.width / picture.width, doc.height / picture.height];
  const [left, top, right, bottom] = [x * across, y * down, (x + width) * across, (y + height) * down];
  const near = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) <= reach;
  const side = (/** @type {number} */ at, /** @type {number} */ low, /** @type {number} */ high) =>
    near(at, high) ? 1 : near(at, low) ? -1 : 0;
  const [h, v] = [side(place.x, left, right), side(place.y, top, bottom)];
  if (h !== 0 && v !== 0) return { x: h, y: v };
  return place.x >= left && place.x <= right && place.y >= top && place.y <= bottom ? { x: 0, y: 0 } : null;
}

/** A box dragged by its inside or a corner; it stays on the picture and has at least one pixel. @param {Thing} thing @param {Point} hold @param {Point} by   in the document @param {Doc} doc @returns {Thing} */
export function dragged(thing, hold, by, { picture, ...doc }) {
  if (picture === null) return thing;
  const along = (/** @type {"x" | "y"} */ axis, /** @type {"width" | "height"} */ side) => {
    const most = picture[side];
    const far = Math.round((by[axis] / doc[side]) * most);
    const [low, high] = [thing[axis], thing[axis] + thing[side]];
    if (hold.x === 0 && hold.y === 0) return { [axis]: within(low + far, 0, most - thing[side]) };
    if (hold[axis] > 0) return { [side]: within(high + far, low + 1, most) - low };
    const start = within(low + far, 0, high - 1);
    return { [axis]: start, [side]: high - start };
  };
  return { ...thing, ...along("x", "width"), ...along("y", "height") };
}
