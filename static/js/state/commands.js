import {
  EMPTY_DOC,
  findLayer,
  freeName,
  groupBetween,
  indexOf,
  insertLayers,
  newLayer,
  PLAIN,
  patchLayer,
  removeLayers,
  scaleAbout,
  toOffset,
  withLayers,
} from "./doc.js";

/**
 * A change of the document with a name that people read on the undo button.
 *
 * @param {Command["title"]} title
 * @param {Command["about"]} about
 * @param {Command["apply"]} apply
 * @param {string | null} [gesture]
 * @returns {Command}
 */
export const command = (title, about, apply, gesture = null) => ({ title, about, gesture, apply });

/**
 * A change of one layer.
 * @param {Command["title"]} title
 * @param {Layer} layer
 * @param {Partial<Layer>} patch
 * @param {string | null} [gesture]
 */
const onLayer = (title, layer, patch, gesture = null) =>
  command(title, { name: layer.name }, (doc) => patchLayer(doc, layer.id, patch), gesture);

/** Start over with a picture. @param {Picture} picture */
export const openPicture = (picture) =>
  command("command.picture", {}, () => ({ ...EMPTY_DOC, picture, width: picture.width, height: picture.height }));

/**
 * The stack that decompose answered with.
 * @param {Picture} picture
 * @param {Wire.DecomposeResponse} answer
 * @param {string} prefix   of the layers' ids, tells them from every earlier one
 */
export const decomposed = (picture, answer, prefix) =>
  command("command.decompose", {}, () => {
    const layers = layersOf(answer, prefix);
    const made = layers.map(({ id }) => id);
    const { width, height, seed, prompt, score = null } = answer;
    return { picture, layers, width, height, composite: answer.layers[0].image, made, groups: {}, score, seed, prompt };
  });

/**
 * The layers of an answer of decompose, bottom to top; its first is the composite and no layer.
 * @param {Wire.DecomposeResponse} answer
 * @param {string} prefix
 * @returns {readonly Layer[]}
 */
export const layersOf = ({ layers, seed, engine, recipe }, prefix) =>
  layers
    .slice(1)
    .map(({ index, name, image, width, height, coverage }) =>
      newLayer({ id: `${prefix}-${index}`, name, image, width, height, coverage, seed, engine, recipe }),
    );

// Which layers there are, and in which order.

/**
 * @param {Layer} layer
 * @param {number} index   of the stack, 0 at the bottom
 * @param {string} [joined]   the group it is put into; else the one it comes to lie in
 */
export const reorder = (layer, index, joined) =>
  command("command.move", { name: layer.name }, (doc) => {
    const moved = findLayer(doc, layer.id);
    if (moved === null || index < 0 || index >= doc.layers.length) return doc;
    const rest = doc.layers.filter((other) => other !== moved);
    const group = joined ?? groupBetween(moved, rest[index - 1], rest[index]);
    if (group === moved.group && index === indexOf(doc, layer.id)) return doc;
    const placed = group === moved.group ? moved : { ...moved, group };
    return withLayers(doc, [...rest.slice(0, index), placed, ...rest.slice(index)]);
  });

/** A second one, right above. @param {Layer} layer @param {string} id */
export const duplicate = (layer, id) =>
  command("command.duplicate", { name: layer.name }, (doc) => {
    const index = indexOf(doc, layer.id);
    return index < 0 ? doc : insertLayers(doc, index + 1, [{ ...doc.layers[index], id, name: freeName(doc, layer.name) }]);
  });

/** @param {Layer} layer */
export const remove = (layer) =>
  command("command.delete", { name: layer.name }, (doc) =>
    findLayer(doc, layer.id) === null ? doc : removeLayers(doc, ({ id }) => id === layer.id),
  );

/** A new layer above another one, or on top of all. @param {Layer} layer @param {string | null} above */
export const add = (layer, above) =>
  command("command.add", { name: layer.name }, (doc) => {
    const index = indexOf(doc, above);
    const place = index < 0 ? doc.layers.length : index + 1;
    const group = groupBetween(layer, doc.layers[place - 1], doc.layers[place]);
    return insertLayers(doc, place, [{ ...layer, name: freeName(doc, layer.name), group }]);
  });

/** One layer in the place of a layer and the one below it. @param {Layer} upper @param {Layer} merged */
export const mergeDown = (upper, merged) =>
  command("command.merge", { name: upper.name }, (doc) => {
    const index = indexOf(doc, upper.id);
    return index < 1 ? doc : insertLayers(doc, index - 1, [merged], 2);
  });

/** One layer in the place of a group. @param {readonly Layer[]} layers   in a row, bottom to top @param {Layer} merged */
export const mergeGroup = (layers, merged) =>
  command("command.mergeGroup", { name: merged.name }, (doc) => {
    const index = indexOf(doc, layers[0].id);
    return layers.some((layer, place) => doc.layers[index + place] !== layer) ? doc : insertLayers(doc, index, [merged], layers.length);
  });

/**
 * A layer cut from others, which have other pictures from then on.
 * @param {readonly Layer[]} stack   what it was cut from, bottom to top: the layers, or the picture as one
 * @param {Layer} layer
 * @param {number} place   of the new layer in the stack
 * @param {readonly {index: number, image: string, coverage: number, version: number}[]} changed   by their places in the stack
 */
export const cutOut = (stack, layer, place, changed) =>
  command("command.select", { name: layer.name }, (doc) => {
    const named = { ...layer, name: freeName(doc, layer.name) };
    const alone = doc.layers.length === 0;
    // What was never taken apart gets its ground as a first layer.
    const below = alone ? stack.map((ground) => newLayer({ ...ground, id: `${layer.id}-ground` })) : doc.layers;
    const cut = below.map((under, index) => {
      const found = changed.find((one) => one.index === index);
      if (found === undefined) return under;
      const { image, coverage, version } = found;
      return alone ? newLayer({ ...under, image, coverage }) : { ...under, image, coverage, current: version };
    });
    // A layer of which nothing is left has gone into the new one.
    const isLeft = (/** @type {Layer} */ under, /** @type {number} */ index) =>
      under.coverage > 0 || !changed.some((one) => one.index === index);
    const kept = cut.map((under, index) => (isLeft(under, index) ? [under] : []));
    return withLayers(doc, [...kept.slice(0, place).flat(), named, ...kept.slice(place).flat()]);
  });

/** What a stroke of the brush has made of a layer. @param {Layer} layer @param {boolean} takesAway @param {number} version */
export const brushed = (layer, takesAway, version) =>
  command(takesAway ? "command.erase" : "command.reveal", { name: layer.name }, (doc) => useVersion(layer, version).apply(doc));

/** A layer's own layers in its place, as a group of its name. @param {Layer} layer @param {readonly Layer[]} parts   bottom to top */
export const split = (layer, parts) =>
  command("command.split", { name: layer.name }, (doc) => {
    const index = indexOf(doc, layer.id);
    if (index < 0) return doc;
    const without = removeLayers(doc, ({ id }) => id === layer.id);
    const group = freeName(without, layer.name);
    return insertLayers(
      without,
      index,
      parts.map((part) => ({ ...part, group })),
    );
  });

/** @param {string} name @param {string} wanted */
export const renameGroup = (name, wanted) =>
  relabel("command.rename", name, (doc) => (["", name].includes(wanted.trim()) ? name : freeName(doc, wanted.trim())));

/** The layers stay, each by itself. @param {string} name */
export const ungroup = (name) => relabel("command.ungroup", name, () => "");

/** @param {string} name */
export const removeGroup = (name) =>
  command("command.delete", { name }, (doc) =>
    doc.layers.some(({ group }) => group === name) ? removeLayers(doc, ({ group }) => group === name) : doc,
  );

/** @param {Command["title"]} title @param {string} name @param {(doc: Doc) => string} label */
function relabel(title, name, label) {
  return command(title, { name }, (doc) => {
    const next = doc.layers.some(({ group }) => group === name) ? label(doc) : name;
    if (next === name) return doc;
    return withLayers(
      doc,
      doc.layers.map((layer) => (layer.group === name ? { ...layer, group: next } : layer)),
    );
  });
}

// How layers look: their eye, opacity, blend mode and name.

/** @param {Layer} layer @param {boolean} visible */
export const setVisible = (layer, visible) => onLayer(visible ? "command.show" : "command.hide", layer, { visible });

/** @param {Layer} layer @param {number} opacity   0–1 */
export const setOpacity = (layer, opacity) => onLayer("command.opacity", layer, { opacity }, `opacity ${layer.id}`);

/** @param {Layer} layer @param {Blend} blend */
export const setBlend = (layer, blend) => onLayer("command.blend", layer, { blend }, `blend ${layer.id}`);

/** @param {Layer} layer @param {string} name */
export const rename = (layer, name) => onLayer("command.rename", layer, { name: name.trim() || layer.name });

/** Show one layer and nothing else; all of them when it is the only one already. @param {Layer} layer */
export const showOnly = (layer) =>
  command("command.solo", { name: layer.name }, (doc) => {
    const alone = doc.layers.every((other) => other.visible === (other.id === layer.id));
    return showWhere(doc, (other) => alone || other.id === layer.id);
  });

/** @param {string} name @param {boolean} visible */
export const setGroupVisible = (name, visible) =>
  command(visible ? "command.show" : "command.hide", { name }, (doc) =>
    showWhere(doc, (layer) => (layer.group === name ? visible : layer.visible)),
  );

/** @param {Doc} doc @param {(layer: Layer) => boolean} visible */
function showWhere(doc, visible) {
  if (doc.layers.every((layer) => layer.visible === visible(layer))) return doc;
  return withLayers(
    doc,
    doc.layers.map((layer) => (layer.visible === visible(layer) ? layer : { ...layer, visible: visible(layer) })),
  );
}

// Where layers lie. All moves of one gesture start from the layer as it was when the gesture began.

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

/** Show another version of a layer. @param {Layer} layer @param {number} index */
export const useVersion = (layer, index) =>
  command("command.version", { name: layer.name }, (doc) => {
    const version = findLayer(doc, layer.id)?.versions[index];
    return version === undefined ? doc : patchLayer(doc, layer.id, { current: index, image: version.image, coverage: version.coverage });
  });

/** Offer a version no longer; the first one and the one in use stay. @param {Layer} layer @param {number} index */
export const discardVersion = (layer, index) =>
  command("command.discard", { name: layer.name, number: index + 1 }, (doc) => {
    const { versions = [], current = 0, discarded = [] } = findLayer(doc, layer.id) ?? {};
    if (index < 1 || index === current || index >= versions.length || discarded.includes(index)) return doc;
    return patchLayer(doc, layer.id, { discarded: [...discarded, index] });
  });

/** A version of a layer as a layer of its own, in the same place. @param {Layer} layer @param {number} index @param {string} id @returns {Layer} */
export function layerFrom(layer, index, id) {
  const { versions, current: _, discarded: __, ...place } = layer;
  const { image, coverage, seed, engine, recipe } = versions[index];
  return newLayer({ ...place, id, visible: true, image, coverage, seed, engine, recipe });
}
