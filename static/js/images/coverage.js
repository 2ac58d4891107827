import { alphaOf } from "./pixels.js";

/**
 * How much of the document a layer covers where it lies, 0–1: its own mean alpha by its place and size, what lies outside
 * of the document left out.
 *
 * @param {Layer} layer
 * @param {Extent} doc
 * @param {ImageBitmap | null} bitmap   of the layer, as far as it is there; needed for what lies outside
 */
export function coverageIn(layer, doc, bitmap) {
  const [across, down] = [layer.width * layer.scale, layer.height * layer.scale];
  const whole = (layer.coverage * across * down) / (doc.width * doc.height);
  const inside = layer.x >= 0 && layer.y >= 0 && layer.x + across <= doc.width && layer.y + down <= doc.height;
  return Math.min(1, inside || bitmap === null ? whole : whole * shareInside(layer, doc, alphaOf(bitmap)));
}

/**
 * The share of a layer's alpha that lies within the document.
 * @param {Layer} layer
 * @param {Extent} doc
 * @param {{alpha: Uint8Array, size: Extent}} small   the layer's alpha at a small size
 */
export function shareInside({ x, y, width, height, scale, flipX, flipY }, doc, { alpha, size }) {
  const [stepX, stepY] = [(width * scale) / size.width, (height * scale) / size.height];
  let [sum, inside] = [0, 0];
  for (let row = 0; row < size.height; row += 1) {
    const down = y + ((flipY ? size.height - 1 - row : row) + 0.5) * stepY;
    for (let column = 0; column < size.width; column += 1) {
      const value = alpha[row * size.width + column];
      const across = x + ((flipX ? size.width - 1 - column : column) + 0.5) * stepX;
      sum += value;
      if (down >= 0 && down < doc.height && across >= 0 && across < doc.width) inside += value;
    }
  }
  return sum === 0 ? 0 : inside / sum;
}
