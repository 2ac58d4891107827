/** Documents to try things on. */
import { EMPTY_DOC, newLayer, withLayers } from "../../static/js/state/doc.js";

export const PICTURE = { name: "Tree", image: "/api/images/p.png", width: 100, height: 80 };

/** A document of layers with these ids, bottom to top; "a:G" is a layer "a" in the group "G". @param {...string} ids */
export function docOf(...ids) {
  const layers = ids.map((text) => {
    const [id, group = ""] = text.split(":");
    return newLayer({ id, name: id.toUpperCase(), image: `/api/images/${id}.png`, width: 100, height: 80, coverage: 0.5, group });
  });
  return frozen(withLayers({ ...EMPTY_DOC, picture: PICTURE, width: 100, height: 80, made: ids }, layers));
}

/** The value, in which nothing can be changed in place. @template T @param {T} value @returns {T} */
function frozen(value) {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

/** The stack, bottom to top, as `docOf` takes it. @param {Doc} doc */
export const stackOf = (doc) => doc.layers.map(({ id, group }) => (group === "" ? id : `${id}:${group}`));

/** @param {Doc} doc */
export const timelineOf = (doc) => ({ doc, past: [], future: [] });

/** A layer of which a part is seen; else all of it. @param {Layer} layer @param {Box} [box] */
export const part = (layer, box = { x: 0, y: 0, width: layer.width, height: layer.height }) => ({ layer, box });
