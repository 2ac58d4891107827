import { withLayers } from "../state/doc.js";
import { command, onLayer } from "./command.js";

/** How layers look: their eye, opacity, blend mode and name. */

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
  command(visible ? "command.show" : "command.hide", { name }, (doc) => showWhere(doc, (layer) => (layer.group === name ? visible : layer.visible)));

/** @param {Doc} doc @param {(layer: Layer) => boolean} visible */
function showWhere(doc, visible) {
  if (doc.layers.every((layer) => layer.visible === visible(layer))) return doc;
  return withLayers(doc, doc.layers.map((layer) => (layer.visible === visible(layer) ? layer : { ...layer, visible: visible(layer) })));
}
