import { freeName, removeLayers, withLayers } from "../state/doc.js";
import { command } from "./command.js";

/** @param {string} name @param {string} wanted */
export const renameGroup = (name, wanted) => relabel("command.rename", name, (doc) => (["", name].includes(wanted.trim()) ? name : freeName(doc, wanted.trim())));

/** The layers stay, each by itself. @param {string} name */
export const ungroup = (name) => relabel("command.ungroup", name, () => "");

/** @param {string} name */
export const removeGroup = (name) =>
  command("command.delete", { name }, (doc) => (doc.layers.some(({ group }) => group === name) ? removeLayers(doc, ({ group }) => group === name) : doc));

/** @param {Command["title"]} title @param {string} name @param {(doc: Doc) => string} label */
function relabel(title, name, label) {
  return command(title, { name }, (doc) => {
    const next = doc.layers.some(({ group }) => group === name) ? label(doc) : name;
    if (next === name) return doc;
    return withLayers(doc, doc.layers.map((layer) => (layer.group === name ? { ...layer, group: next } : layer)));
  });
}
