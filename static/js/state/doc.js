/**
 * The document: a picture and its stack of layers. Every function returns a new value and changes nothing
 * in place; without a change it returns its argument.
 */

/** @type {Doc} */
export const EMPTY_DOC = {
  picture: null,
  layers: [],
  width: 0,
  height: 0,
  frame: null,
  composite: null,
  made: [],
  groups: {},
  score: null,
  seed: null,
  prompt: "",
  number: 0,
  others: [],
};

/** The defaults of a decomposed layer. */
export const PLAIN = {
  x: 0,
  y: 0,
  scale: 1,
  stretch: 1,
  rotation: 0,
  flipX: false,
  flipY: false,
  opacity: 1,
  visible: true,
  blend: /** @type {Blend} */ ("normal"),
  group: "",
};

/**
 * A layer with its first version.
 * @param {{id: string, name: string, image: string, width: number, height: number, coverage: number, engine?: string, seed?: number | null, recipe?: Recipe | null} & Partial<Layer>} about
 * @returns {Layer}
 */
export function newLayer({ engine = "", seed = null, recipe = null, ...about }) {
  const { image, coverage } = about;
  const first = { image, coverage, instruction: "", seed, shape: null, engine, at: null, from: null, seconds: null, recipe };
  return { ...PLAIN, versions: [first], current: 0, discarded: [], ...about };
}

/** A version made without an engine; it is offered only while the layer shows it. @param {string} image @param {number} coverage @returns {Version} */
export const handMade = (image, coverage) => ({
  image,
  coverage,
  instruction: "",
  seed: null,
  shape: null,
  engine: BY_HAND,
  at: new Date().toISOString(),
  from: null,
  seconds: null,
  recipe: null,
});

/** The engine name of versions made by hand. */
export const BY_HAND = "hand";

/** @param {Doc} doc @param {string | null} id */
export const findLayer = (doc, id) => doc.layers.find((layer) => layer.id === id) ?? null;

/** @param {Doc} doc @param {string | null} id */
export const indexOf = (doc, id) => doc.layers.findIndex((layer) => layer.id === id);

/** The selected layers, bottom to top: one, several, or all of a group. @param {Pick<State, "doc" | "selected" | "also" | "group">} state */
export function selectionOf({ doc, selected, also, group }) {
  const members = group === null ? [] : doc.layers.filter((layer) => isWithin(labelOf(layer), group));
  return members.length > 0 ? members : doc.layers.filter(({ id }) => id === selected || also.includes(id));
}

/** @param {Doc} doc @param {readonly Layer[]} layers   bottom to top @returns {Doc} */
export const withLayers = (doc, layers) => ({ ...doc, layers: [...layers], groups: groupsOf(doc.groups, layers) });

/** @param {Doc} doc @param {string} id @param {Partial<Layer>} patch @returns {Doc} */
export function patchLayer(doc, id, patch) {
  const layer = findLayer(doc, id);
  if (layer === null) return doc;
  const keys = /** @type {(keyof Layer)[]} */ (Object.keys(patch));
  if (keys.every((key) => layer[key] === patch[key])) return doc;
  return withLayers(
    doc,
    doc.layers.map((other) => (other === layer ? { ...layer, ...patch } : other)),
  );
}

/**
 * Insert layers at an index of the stack, 0 at the bottom.
 * @param {Doc} doc
 * @param {number} index
 * @param {readonly Layer[]} layers
 * @param {number} [replaced]   how many layers from there on they replace
 */
export const insertLayers = (doc, index, layers, replaced = 0) =>
  withLayers(doc, [...doc.layers.slice(0, index), ...layers, ...doc.layers.slice(index + replaced)]);

/** @param {Doc} doc @param {(layer: Layer) => boolean} goes */
export const removeLayers = (doc, goes) =>
  withLayers(
    doc,
    doc.layers.filter((layer) => !goes(layer)),
  );

/** Whether the layers are unchanged since the decomposition: none missing, added, edited, hidden, faded or moved. @param {Doc} doc */
export function isAsDecomposed({ layers, made, groups }) {
  const plain = /** @type {(keyof typeof PLAIN)[]} */ (Object.keys(PLAIN)).filter((key) => key !== "group");
  return (
    layers.length === made.length &&
    Object.values(groups).every((group) => group.visible && passesThrough(group)) &&
    layers.every((layer, index) => layer.id === made[index] && layer.current === 0 && plain.every((key) => layer[key] === PLAIN[key]))
  );
}

/** A name that no layer of the document has yet: "Tree", then "Tree 2". @param {Doc} doc @param {string} name */
export const freeName = (doc, name) => numbered(name, (free) => doc.layers.some((layer) => layer.name === free));

/** The name, with a number where it needs one. @param {string} name @param {(name: string) => boolean} isTaken */
export function numbered(name, isTaken) {
  let free = name;
  for (let count = 2; isTaken(free); count += 1) free = `${name.replace(/ \d+$/, "")} ${count}`;
  return free;
}

/** A unique id. `crypto.randomUUID` is missing on plain HTTP, random bytes are not. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The layers in the form of composite and export requests, bottom to top. @param {Doc} doc @returns {Required<Wire.NamedLayer>[]} */
export const stackOf = ({ layers }) =>
  layers.map(({ image, name, opacity, visible, x, y, scale, stretch, rotation, flipX, flipY, blend, group, versions, current }) => ({
    image,
    name,
    opacity,
    visible,
    x,
    y,
    scale,
    stretch,
    rotation,
    flip_x: flipX,
    flip_y: flipY,
    blend,
    group,
    recipe: versions[current]?.recipe ?? null,
  }));

/** A layer among the others, in the form of requests about it. @param {Doc} doc @param {string} id @returns {Wire.StackOfLayer} */
export const stackAround = (doc, id) => ({
  layers: stackOf(doc).map(({ name: _, recipe: __, ...placed }) => placed),
  index: indexOf(doc, id),
  width: doc.width,
  height: doc.height,
  groups: doc.groups,
});

/**
 * Groups are labels: adjacent layers with the same label are a group, and "Figure / Shadows" is a nested group. By default
 * a group passes its layers through; others are composited by themselves and then over the layers below
 * them as one picture.
 */

export const SEPARATOR = " / ";
/** @type {Group} */
export const PLAIN_GROUP = { opacity: 1, visible: true, blend: "pass-through" };

/** The groups around a layer, the outermost first: their labels. @param {string} label @returns {string[]} */
export function labelsOf(label) {
  const names = label.split(SEPARATOR).filter((name) => name.trim() !== "");
  return names.map((_, depth) => names.slice(0, depth + 1).join(SEPARATOR));
}

/** The label of the group that a layer is in, "" for none. @param {Pick<Layer, "group">} layer */
export const labelOf = ({ group }) => labelsOf(group).at(-1) ?? "";

/** Whether a group is another one, or in it; all are in "". @param {string} label @param {string} outer */
export const isWithin = (label, outer) => outer === "" || label === outer || label.startsWith(outer + SEPARATOR);

/**
 * The group of a layer that was moved between two others: its own if adjacent to it, else the innermost that both
 * are in.
 *
 * @param {Layer} layer
 * @param {Layer | undefined} below
 * @param {Layer | undefined} above
 */
export function groupBetween(layer, below, above) {
  const [under, over] = [below, above].map((other) => labelsOf(other?.group ?? ""));
  const shared = under.findLast((label) => over.includes(label)) ?? "";
  const own = labelOf(layer);
  return isWithin(own, shared) && [...under, ...over].includes(own) ? own : shared;
}

/** The groups that layers are in; a later group with the same label is a new one. @param {Doc["groups"]} groups @param {readonly Layer[]} layers */
function groupsOf(groups, layers) {
  const labels = Object.keys(groups);
  if (labels.length === 0) return groups;
  const kept = new Set(layers.flatMap(({ group }) => labelsOf(group)));
  return labels.every((label) => kept.has(label))
    ? groups
    : Object.fromEntries(Object.entries(groups).filter(([label]) => kept.has(label)));
}

/** @param {Pick<Doc, "groups">} doc @param {string} label @returns {Group} */
export const groupOf = ({ groups }, label) => groups[label] ?? PLAIN_GROUP;

/** @param {Group} group */
export const passesThrough = ({ opacity, blend }) => opacity === 1 && blend === "pass-through";

/** Whether a layer and all the groups around it are visible. @param {Pick<Doc, "groups">} doc @param {Layer} layer */
export const isShown = (doc, layer) => layer.visible && labelsOf(layer.group).every((label) => groupOf(doc, label).visible);

/**
 * A layer's transform. Its picture is mirrored within its own box, scaled about the box's top left corner,
 * its height also by `stretch`, moved to x, y, and rotated about the center of that box, clockwise.
 */

export const SCALE_LIMITS = [0.01, 32];
/** The largest offset of a layer in pixels. */
export const OFFSET_LIMIT = 32_768;
const QUARTERS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
];

/**
 * The matrix from the layer's own pixels to the document's, x = a·u + c·v + e and y = b·u + d·v + f, as for canvases.
 * @param {Placed} layer
 * @returns {[a: number, b: number, c: number, d: number, e: number, f: number]}
 */
export function matrixOf({ x, y, width, height, scale, stretch, rotation, flipX, flipY }) {
  const [across, down] = [flipX ? -scale : scale, flipY ? -scale * stretch : scale * stretch];
  const [wide, high] = [width * scale, height * scale * stretch];
  const quarter = rotation % 90 === 0 ? (((rotation / 90) % 4) + 4) % 4 : null;
  const angle = (rotation * Math.PI) / 180;
  const [cos, sin] = quarter === null ? [Math.cos(angle), Math.sin(angle)] : QUARTERS[quarter];
  // Quarter turns stay on whole pixels.
  const odd = (Math.round(wide) - Math.round(high)) % 2 === 0 || quarter === null || quarter % 2 === 0 ? 0 : 0.5;
  const [left, top] = [(flipX ? wide : 0) - wide / 2, (flipY ? high : 0) - high / 2];
  return [
    cos * across,
    sin * across,
    -sin * down,
    cos * down,
    x + wide / 2 + cos * left - sin * top - odd,
    y + high / 2 + sin * left + cos * top + odd,
  ];
}

/** The box, in the document, of a part of the layer's own picture. @param {Placed} layer @param {Box} box   in the layer's pixels @returns {Box} */
export function placeBox(layer, box) {
  const [a, b, c, d, e, f] = matrixOf(layer);
  const corners = [box.x, box.x + box.width].flatMap((u) => [box.y, box.y + box.height].map((v) => [a * u + c * v + e, b * u + d * v + f]));
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/** The subpixel position in the layer's own picture that is seen at a point. @param {Placed} layer @param {Point} point   in pixels of the document @returns {Point} */
function placeAt(layer, point) {
  const [a, b, c, d, e, f] = matrixOf(layer);
  const [x, y, area] = [point.x - e, point.y - f, a * d - b * c];
  return { x: (d * x - c * y) / area, y: (a * y - b * x) / area };
}

/** The pixel of the layer's own picture that is seen at a point; it may be outside. @param {Placed} layer @param {Point} point @returns {Point} */
export function pixelAt(layer, point) {
  const { x, y } = placeAt(layer, point);
  return { x: Math.floor(x), y: Math.floor(y) };
}

/** The nearest valid offset: a whole number of pixels. @param {number} value */
export const toOffset = (value) => Math.min(OFFSET_LIMIT, Math.max(-OFFSET_LIMIT, Math.round(value))) || 0;

/**
 * The transform of a picture added as a layer: centered, and scaled down if it is larger than the document.
 * @param {{width: number, height: number}} size
 * @param {{width: number, height: number}} doc
 */
export function placeInside(size, doc) {
  const scale = Math.min(1, doc.width / size.width, doc.height / size.height);
  return { scale, x: toOffset((doc.width - size.width * scale) / 2), y: toOffset((doc.height - size.height * scale) / 2) };
}
