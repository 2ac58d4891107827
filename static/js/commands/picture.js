import { EMPTY_DOC, newLayer } from "../state/doc.js";
import { command } from "./command.js";

/** Start over with a picture. @param {Picture} picture */
export const openPicture = (picture) =>
  command("command.picture", {}, () => ({ ...EMPTY_DOC, picture, width: picture.width, height: picture.height }));

/**
 * The stack that decompose answered with.
 * @param {Picture} picture
 * @param {Wire.DecomposeResponse} answer
 * @param {string} prefix   of the layers' ids, tells them from every earlier one
 */
export const decomposed = (picture, answer, prefix) =>
  command("command.decompose", {}, () => {
    const layers = layersOf(answer, prefix);
    const made = layers.map(({ id }) => id);
    const { width, height, seed, prompt } = answer;
    return { picture, layers, width, height, composite: answer.layers[0].image, made, seed, prompt };
  });

/**
 * The layers of an answer of decompose, bottom to top; its first is the composite and no layer.
 * @param {Wire.DecomposeResponse} answer
 * @param {string} prefix
 * @returns {readonly Layer[]}
 */
export const layersOf = ({ layers, seed, engine }, prefix) =>
  layers.slice(1).map(({ index, name, image, width, height, coverage }) =>
    newLayer({ id: `${prefix}-${index}`, name, image, width, height, coverage, seed, engine }),
  );
