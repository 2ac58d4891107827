import { blobOf } from "../images/flatten.js";
import { boxOfMarks, maskOfMarks } from "../images/region.js";

/** What is marked of a layer, as the server takes it: a box, or a mask that it holds by then. @param {Layer} layer @param {readonly RegionMark[]} marks @param {Pick<Context, "api" | "bitmaps">} context @returns {Promise<Wire.RegionOfLayer>} */
export async function regionFor(layer, marks, { api, bitmaps }) {
  const box = boxOfMarks(marks);
  if (box !== null) return { box };
  const { width, height } = await bitmaps.load(layer.image);
  return { mask: (await api.upload(await blobOf(maskOfMarks(marks, layer, { width, height })))).image };
}
