import { findLayer, newLayer, patchLayer } from "../state/doc.js";
import { command } from "./command.js";

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
  const { image, coverage, seed, engine } = versions[index];
  return newLayer({ ...place, id, visible: true, image, coverage, seed, engine });
}
