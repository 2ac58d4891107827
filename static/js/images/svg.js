/** Drawings, as far as the page has to know about them before the browser draws them. */

const SVG = "http://www.w3.org/2000/svg";
/** CSS pixels of a unit. */
const UNITS = /** @type {Record<string, number>} */ ({ "": 1, px: 1, pt: 4 / 3, pc: 16, in: 96, cm: 96 / 2.54, mm: 9.6 / 2.54, em: 16, rem: 16 });
/** What CSS gives to a picture that says nothing of its size. */
const PLAIN = { width: 300, height: 150 };

/** The root of a drawing; throws when the text is none. @param {string} text @returns {Element} */
export function svgOf(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.localName !== "svg" || root.namespaceURI !== SVG) throw new Error("no drawing");
  return root;
}

/** The size of a drawing: what it says, the rest by its view box. @param {Pick<Element, "getAttribute">} root @returns {Extent} */
export function sizeOf(root) {
  const box = (root.getAttribute("viewBox") ?? "").trim().split(/[\s,]+/).map(Number);
  const [across, down] = box.length === 4 && box[2] > 0 && box[3] > 0 ? box.slice(2) : [PLAIN.width, PLAIN.height];
  const [width, height] = [lengthOf(root.getAttribute("width")), lengthOf(root.getAttribute("height"))];
  if (width !== null && height !== null) return { width, height };
  if (width !== null) return { width, height: (width * down) / across };
  if (height !== null) return { width: (height * across) / down, height };
  return { width: across, height: down };
}

/** In CSS pixels; null for none, and for a share of something. @param {string | null} text */
function lengthOf(text) {
  const [, number, unit] = /^\s*([\d.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(text ?? "") ?? [];
  const length = Number(number) * (UNITS[(unit ?? "").toLowerCase()] ?? NaN);
  return length > 0 && Number.isFinite(length) ? length : null;
}
