import { patchLayer } from "../state/doc.js";

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
export const onLayer = (title, layer, patch, gesture = null) =>
  command(title, { name: layer.name }, (doc) => patchLayer(doc, layer.id, patch), gesture);
