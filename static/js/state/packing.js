/**
 * A timeline as JSON. Its documents share most of their layers, and a layer's versions are the same in all of them:
 * each layer and each list of versions is written once.
 */

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
export function unpack({ doc, past, future, table, versions }) {
  const layers = table.map((/** @type {any} */ layer) => ({ ...layer, versions: versions[layer.id] }));
  const unpackDoc = (/** @type {any} */ each) => ({ ...each, layers: each.layers.map((/** @type {number} */ place) => layers[place]) });
  const unpackSteps = (/** @type {any[]} */ steps) => steps.map((step) => ({ ...step, doc: unpackDoc(step.doc) }));
  return { doc: unpackDoc(doc), past: unpackSteps(past), future: unpackSteps(future) };
}
