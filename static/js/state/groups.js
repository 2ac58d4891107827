/**
 * Groups are labels: layers in a row that carry one name are a group.
 *
 * @typedef {{name: string, layers: Layer[]}} Run   a group, or a layer by itself with the name ""
 */

/** The stack as groups and single layers, in its own order. @param {readonly Layer[]} layers @returns {Run[]} */
export function runsOf(layers) {
  /** @type {Run[]} */
  const runs = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    if (last !== undefined && layer.group !== "" && last.name === layer.group) last.layers.push(layer);
    else runs.push({ name: layer.group, layers: [layer] });
  }
  return runs;
}

/**
 * The group of a layer that has come to lie between two others: theirs when they share one, its own while it still
 * touches it, else none.
 *
 * @param {Layer} layer
 * @param {Layer | undefined} below
 * @param {Layer | undefined} above
 */
export function groupBetween(layer, below, above) {
  const [under, over] = [below?.group ?? "", above?.group ?? ""];
  if (under !== "" && under === over) return under;
  return layer.group === under || layer.group === over ? layer.group : "";
}
