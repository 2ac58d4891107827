// @ts-check
import { findLayer, patchLayer } from "../state/doc.js";
import { command } from "./command.js";

/** Show another version of a layer. @param {import("../types.js").Layer} layer @param {number} index */
export const useVersion = (layer, index) =>
  command("command.version", { name: layer.name }, (doc) => {
    const version = findLayer(doc, layer.id)?.versions[index];
    return version === undefined ? doc : patchLayer(doc, layer.id, { current: index, image: version.image, coverage: version.coverage });
  });
