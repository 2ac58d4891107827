/**
 * A timeline as JSON. Its documents share most of their layers, and a layer's versions are the same in all of them:
 * each layer and each list of versions is written once.
 */

import { EMPTY_DOC, newLayer } from "./doc.js";
import { EMPTY_TIMELINE } from "./initial.js";

/** @param {Timeline} timeline */
export function pack({ doc, past, future }) {
  /** @type {Map<Layer, number>} */
  const places = new Map();
  const place = (/** @type {Layer} */ layer) => places.get(layer) ?? (places.set(layer, places.size), places.size - 1);
  const packDoc = (/** @type {Doc} */ each) => ({ ...each, layers: each.layers.map(place) });
  const packSteps = (/** @type {readonly Step[]} */ steps) => steps.map((step) => ({ ...step, gesture: null, doc: packDoc(step.doc) }));
  const packed = { doc: packDoc(doc), past: packSteps(past), future: packSteps(future) };
  const versions = Object.fromEntries([...places.keys()].map((layer) => [layer.id, layer.versions]));
  const table = [...places.keys()].map(({ versions: _, ...layer }) => layer);
  // The server counts a project's layers without knowing more of it.
  return { ...packed, layers: packed.doc.layers, table, versions };
}

/** @param {any} packed   what `pack` made @returns {Timeline} */
export function unpack(packed) {
  const { doc, past, future, table, versions } = packed;
  if (doc === undefined) return { ...EMPTY_TIMELINE, doc: docOf(packed) };
  const layers = table.map((/** @type {any} */ layer) => ({ ...layer, versions: versions[layer.id] }));
  const unpackDoc = (/** @type {any} */ each) => ({ ...each, layers: each.layers.map((/** @type {number} */ place) => layers[place]) });
  const unpackSteps = (/** @type {any[]} */ steps) => steps.map((step) => ({ ...step, doc: unpackDoc(step.doc) }));
  return { doc: unpackDoc(doc), past: unpackSteps(past), future: unpackSteps(future) };
}

/**
 * A stack as requests have it, from a file of layers or from a program that has made a project of it. Its layers are
 * called by their places, so that they are the same ones each time it is read, until the page keeps them.
 * @param {any} stack @returns {Doc}
 */
function docOf({ width, height, picture, layers }) {
  const made = layers.map((/** @type {any} */ { flip_x: flipX = false, flip_y: flipY = false, coverage = 1, ...layer }, /** @type {number} */ place) =>
    newLayer({ ...layer, coverage, flipX, flipY, id: `place-${place}` }));
  return { ...EMPTY_DOC, width, height, layers: made, picture: picture ? { name: "", image: picture, width, height } : null };
}
