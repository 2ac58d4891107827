// @ts-check
/**
 * Commands on a project: each takes one and returns the next, and changes nothing in place.
 *
 * @typedef {import("../types.js").Project} Project
 * @typedef {import("../types.js").Layer} Layer
 */

/**
 * @param {Project} project
 * @param {string | null} id
 */
export const findLayer = (project, id) => project.layers.find((layer) => layer.id === id) ?? null;

/**
 * @param {Project} project
 * @param {string} id
 * @param {Partial<Layer>} patch
 * @returns {Project}
 */
export function patchLayer(project, id, patch) {
  return { ...project, layers: project.layers.map((layer) => (layer.id === id ? { ...layer, ...patch } : layer)) };
}

/**
 * Move a layer to an index of the stack, 0 at the bottom.
 * @param {Project} project
 * @param {string} id
 * @param {number} index
 * @returns {Project}
 */
export function moveLayer(project, id, index) {
  const layer = findLayer(project, id);
  if (layer === null) return project;
  const rest = project.layers.filter((other) => other !== layer);
  return { ...project, layers: rest.toSpliced(index, 0, layer) };
}

/**
 * Make a project of what decompose answered; its first layer is the composite.
 *
 * @param {import("../types.js").Picture} picture
 * @param {any} answer
 * @param {string} idPrefix   tells these layers from every earlier one
 * @returns {Project}
 */
export function projectFromAnswer(picture, answer, idPrefix) {
  const [composite, ...layers] = answer.layers;
  return {
    picture,
    layers: layers.map((/** @type {any} */ layer) => ({
      id: `${idPrefix}-${layer.index}`,
      name: layer.name,
      image: layer.image,
      width: layer.width,
      height: layer.height,
      coverage: layer.coverage,
      opacity: 1,
      visible: true,
      x: 0,
      y: 0,
      version: 1,
    })),
    width: answer.width,
    height: answer.height,
    composite: composite.image,
    seed: answer.seed,
    prompt: answer.prompt,
  };
}

/**
 * Whether the layers are what decompose made: none edited, hidden, faded, or in another place.
 * @param {Project} project
 */
export function isAsDecomposed({ layers }) {
  const place = (/** @type {Layer} */ layer) => Number(layer.id.slice(layer.id.lastIndexOf("-") + 1));
  return layers.every(
    (layer, index) =>
      layer.version === 1 &&
      layer.visible &&
      layer.opacity === 1 &&
      layer.x === 0 &&
      layer.y === 0 &&
      (index === 0 || place(layers[index - 1]) < place(layer)),
  );
}

/**
 * The layers as the composite and export requests take them, bottom to top.
 * @param {Project} project
 */
export function stackOf(project) {
  return project.layers.map(({ image, name, opacity, visible, x, y }) => ({ image, name, opacity, visible, x, y }));
}
