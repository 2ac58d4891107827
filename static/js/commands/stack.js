import { findLayer, freeName, indexOf, insertLayers, removeLayers, withLayers } from "../state/doc.js";
import { groupBetween } from "../state/groups.js";
import { command } from "./command.js";

/** Which layers there are, and in which order. */

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
  command("command.delete", { name: layer.name }, (doc) => (findLayer(doc, layer.id) === null ? doc : removeLayers(doc, ({ id }) => id === layer.id)));

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

/** A layer's own layers in its place, as a group of its name. @param {Layer} layer @param {readonly Layer[]} parts   bottom to top */
export const split = (layer, parts) =>
  command("command.split", { name: layer.name }, (doc) => {
    const index = indexOf(doc, layer.id);
    if (index < 0) return doc;
    const without = removeLayers(doc, ({ id }) => id === layer.id);
    const group = freeName(without, layer.name);
    return insertLayers(without, index, parts.map((part) => ({ ...part, group })));
  });
