import {
  EMPTY_DOC,
  findLayer,
  freeName,
  groupBetween,
  groupOf,
  indexOf,
  insertLayers,
  labelsOf,
  newLayer,
  PLAIN,
  patchLayer,
  removeLayers,
  withLayers,
} from "./doc.js";
import { turnTo, withResult } from "./results.js";

/**
 * A change of the document with a title for the undo button.
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

/**
 * A change of layers that are selected together.
 * @param {Command["title"]} title
 * @param {readonly Layer[]} layers
 * @param {(layer: Layer) => Partial<Layer>} patch
 * @param {string | null} [gesture]
 */
export const onLayers = (title, layers, patch, gesture = null) =>
  command(title, namesOf(layers), (doc) => layers.reduce((next, layer) => patchLayer(next, layer.id, patch(layer)), doc), gesture);

/** Layers that are listed by name. */
const NAMED = 3;

/** @param {readonly {name: string}[]} all */
export function namesOf(all) {
  const names = all.map(({ name }) => name);
  return { name: [...names.slice(0, NAMED), ...(names.length > NAMED ? ["…"] : [])].join(", ") };
}

/** Start over with a picture. @param {Picture} picture */
export const openPicture = (picture) =>
  command("command.picture", {}, () => ({ ...EMPTY_DOC, picture, width: picture.width, height: picture.height }));

/**
 * The stack in a decompose response.
 * @param {Picture} picture
 * @param {Wire.DecomposeResponse} answer
 * @param {string} prefix   of the layers' ids, unique
 */
export const decomposed = (picture, answer, prefix) =>
  command("command.decompose", {}, (doc) => {
    const before = doc.picture?.image === picture.image ? doc : EMPTY_DOC;
    const layers = layersOf(answer, prefix);
    const made = layers.map(({ id }) => id);
    const { width, height, seed, prompt, score = null } = answer;
    const composite = answer.layers[0].image;
    return { ...withResult(before, { layers, width, height, frame: null, composite, made, groups: {}, score, seed, prompt }), picture };
  });

/** Switch to another result. @param {number} number */
export const useResult = (number) => command("command.result", { number }, (doc) => turnTo(doc, number));

/**
 * The layers of a decompose response, bottom to top; its first image is the composite, not a layer.
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

// The layers and their order.

/** Duplicate each layer, directly above it. @param {readonly Layer[]} layers @param {readonly string[]} ids   of the new ones */
export const duplicate = (layers, ids) =>
  command("command.duplicate", namesOf(layers), (doc) =>
    layers.reduce((next, layer, count) => {
      const index = indexOf(next, layer.id);
      return index < 0
        ? next
        : insertLayers(next, index + 1, [{ ...next.layers[index], id: ids[count], name: freeName(next, layer.name) }]);
    }, doc),
  );

/** @param {readonly Layer[]} layers */
export const remove = (layers) =>
  command("command.delete", namesOf(layers), (doc) => {
    const gone = new Set(layers.map(({ id }) => id));
    return doc.layers.some(({ id }) => gone.has(id)) ? removeLayers(doc, ({ id }) => gone.has(id)) : doc;
  });

/** Add a layer above another one, or on top. @param {Layer} layer @param {string | null} above */
export const add = (layer, above) =>
  command("command.add", { name: layer.name }, (doc) => {
    const index = indexOf(doc, above);
    const place = index < 0 ? doc.layers.length : index + 1;
    const group = groupBetween(layer, doc.layers[place - 1], doc.layers[place]);
    return insertLayers(doc, place, [{ ...layer, name: freeName(doc, layer.name), group }]);
  });

/** Replace a layer and the one below it by one layer. @param {Layer} upper @param {Layer} merged */
export const mergeDown = (upper, merged) =>
  command("command.merge", { name: upper.name }, (doc) => {
    const index = indexOf(doc, upper.id);
    return index < 1 ? doc : insertLayers(doc, index - 1, [merged], 2);
  });

/**
 * A layer cut from others, whose pictures change.
 * @param {readonly Layer[]} stack   its sources, bottom to top: the layers, or the picture as one layer
 * @param {Layer} layer
 * @param {number} place   of the new layer in the stack
 * @param {readonly {index: number, image: string, coverage: number, version: number}[]} changed   by their places in the stack
 */
export const cutOut = (stack, layer, place, changed) =>
  command("command.select", { name: layer.name }, (doc) => {
    const named = { ...layer, name: freeName(doc, layer.name) };
    const alone = doc.layers.length === 0;
    // Without a decomposition the picture becomes the bottom layer.
    const below = alone ? stack.map((ground) => newLayer({ ...ground, id: `${layer.id}-ground` })) : doc.layers;
    const cut = below.map((under, index) => {
      const found = changed.find((one) => one.index === index);
      if (found === undefined) return under;
      const { image, coverage, version } = found;
      return alone ? newLayer({ ...under, image, coverage }) : { ...under, image, coverage, current: version };
    });
    // A layer without remaining content is removed.
    const isLeft = (/** @type {Layer} */ under, /** @type {number} */ index) =>
      under.coverage > 0 || !changed.some((one) => one.index === index);
    const kept = cut.map((under, index) => (isLeft(under, index) ? [under] : []));
    return withLayers(doc, [...kept.slice(0, place).flat(), named, ...kept.slice(place).flat()]);
  });

/** A layer harmonized with the picture, with an optional shadow below. @param {Layer} layer @param {number} version @param {Layer | null} shadow */
export const harmonized = (layer, version, shadow) =>
  command("command.harmonize", { name: layer.name }, (doc) => {
    const next = useVersion(layer, version).apply(doc);
    const index = indexOf(next, layer.id);
    return shadow === null || index < 0 ? next : insertLayers(next, index, [{ ...shadow, name: freeName(next, shadow.name) }]);
  });

/** The result of a brush stroke on a layer. @param {Layer} layer @param {boolean} takesAway @param {number} version */
export const brushed = (layer, takesAway, version) =>
  command(takesAway ? "command.erase" : "command.reveal", { name: layer.name }, (doc) => useVersion(layer, version).apply(doc));

// The appearance of layers: visibility, opacity, blend mode and name.

/** @param {readonly Layer[]} layers @param {boolean} visible */
export const setVisible = (layers, visible) => onLayers(visible ? "command.show" : "command.hide", layers, () => ({ visible }));

/** @param {Layer} layer @param {number} opacity   0–1 */
export const setOpacity = (layer, opacity) => onLayer("command.opacity", layer, { opacity }, `opacity ${layer.id}`);

/** @param {Layer} layer @param {Blend} blend */
export const setBlend = (layer, blend) => onLayer("command.blend", layer, { blend }, `blend ${layer.id}`);

/** @param {Layer} layer @param {string} name */
export const rename = (layer, name) => onLayer("command.rename", layer, { name: name.trim() || layer.name });

/** Show only one layer, with its groups; if it is already the only one, show all. @param {Layer} layer */
export const showOnly = (layer) =>
  command("command.solo", { name: layer.name }, (doc) => {
    const hidden = labelsOf(layer.group).filter((label) => !groupOf(doc, label).visible);
    const alone = hidden.length === 0 && doc.layers.every((other) => other.visible === (other.id === layer.id));
    const visible = (/** @type {Layer} */ other) => alone || other.id === layer.id;
    if (hidden.length === 0 && doc.layers.every((other) => other.visible === visible(other))) return doc;
    const shown = hidden.map((label) => /** @type {const} */ ([label, { ...groupOf(doc, label), visible: true }]));
    return withLayers(
      { ...doc, groups: { ...doc.groups, ...Object.fromEntries(shown) } },
      doc.layers.map((other) => (other.visible === visible(other) ? other : { ...other, visible: visible(other) })),
    );
  });

/** Reset to the position from the decomposition. @param {readonly Layer[]} layers */
export function resetPlace(layers) {
  const { x, y, scale, stretch, rotation, flipX, flipY } = PLAIN;
  return onLayers("command.reset", layers, () => ({ x, y, scale, stretch, rotation, flipX, flipY }));
}

/** Show another version of a layer. @param {Layer} layer @param {number} index */
export const useVersion = (layer, index) =>
  command("command.version", { name: layer.name }, (doc) => {
    const version = findLayer(doc, layer.id)?.versions[index];
    return version === undefined ? doc : patchLayer(doc, layer.id, { current: index, image: version.image, coverage: version.coverage });
  });

/** Discard a version; the first one and the current one stay. @param {Layer} layer @param {number} index */
export const discardVersion = (layer, index) =>
  command("command.discard", { name: layer.name, number: index + 1 }, (doc) => {
    const { versions = [], current = 0, discarded = [] } = findLayer(doc, layer.id) ?? {};
    if (index < 1 || index === current || index >= versions.length || discarded.includes(index)) return doc;
    return patchLayer(doc, layer.id, { discarded: [...discarded, index] });
  });

/** A version of a layer as a separate layer, at the same position. @param {Layer} layer @param {number} index @param {string} id @returns {Layer} */
export function layerFrom(layer, index, id) {
  const { versions, current: _, discarded: __, ...place } = layer;
  const { image, coverage, seed, engine, recipe } = versions[index];
  return newLayer({ ...place, id, visible: true, image, coverage, seed, engine, recipe });
}
