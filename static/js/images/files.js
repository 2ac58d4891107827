import { canvas2d } from "./pixels.js";

/**
 * Files in a form that the server accepts: the browser draws unsupported formats, and oversized pictures are made
 * smaller before it is sent.
 *
 * @typedef {Pick<Config["limits"], "max_pixels" | "max_side" | "max_body_mb" | "image_formats">} Limits
 * @typedef {{blob: Blob, scaledFrom: Extent | null}} Sendable   `scaledFrom`: the original size, if it was scaled down
 */

const MB = 1024 * 1024;
/** Encoder quality without visible loss for scaled photographs. */
const QUALITY = 0.95;
/** The least longer side of a drawing; otherwise it has its own size. */
const DRAWING_PX = 1600;
const SHRINK = 0.8;

/** A file's kind by its first bytes: a layered file of any program, a drawing without layers, or else a picture. @param {Blob} file @returns {Promise<"layers" | "drawing" | "picture">} */
export async function kindOf(file) {
  const head = await file.slice(0, 65_536).text();
  if (/^(PK\x03\x04|8BPS)/.test(head)) return "layers";
  if (file.type !== "image/svg+xml" && !/^[^\0]*<svg[\s>]/i.test(head)) return "picture";
  return head.includes('inkscape:groupmode="layer"') ? "layers" : "drawing";
}

/** @param {File} file @param {Limits | undefined} limits   as far as they are known @returns {Promise<Sendable>} */
export async function sendable(file, limits) {
  if ((await kindOf(file)) === "drawing") return drawing(file, limits);
  const shown = await show(file).catch(() => null);
  // The server may read what the browser cannot show: it supports more formats and gives better errors.
  if (shown === null) return { blob: new Blob([file], { type: "application/octet-stream" }), scaledFrom: null };
  const size = { width: shown.naturalWidth, height: shown.naturalHeight };
  const within = sizeIn(size, limits);
  const fits = within.width === size.width && file.size <= (limits?.max_body_mb ?? Infinity) * MB;
  if (fits && isRead(file.type, limits)) return { blob: file, scaledFrom: null };
  const made = await encode(shown, within, /jpe?g/.test(file.type) ? "image/jpeg" : "image/png", limits);
  return { blob: made.blob, scaledFrom: made.width < size.width ? size : null };
}

/** @param {File} file @param {Limits | undefined} limits @returns {Promise<Sendable>} */
async function drawing(file, limits) {
  const root = svgOf(await file.text());
  const own = sizeOf(root);
  const factor = Math.max(1, DRAWING_PX / Math.max(own.width, own.height));
  const size = sizeIn({ width: Math.max(1, Math.round(own.width * factor)), height: Math.max(1, Math.round(own.height * factor)) }, limits);
  // Some browsers draw a drawing without its own size at size 0.
  root.setAttribute("width", String(size.width));
  root.setAttribute("height", String(size.height));
  const image = await show(new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" }));
  return { blob: (await encode(image, size, "image/png", limits)).blob, scaledFrom: null };
}

/** Whether the server supports a type; before the supported types are known, the server decides. @param {string} type @param {Limits | undefined} limits */
const isRead = (type, limits) => limits?.image_formats?.includes(type.replace(/^image\/(x-)?/, "").replace("jpg", "jpeg")) ?? true;

/** The size that a picture has within the limits, aspect kept. @param {Extent} size @param {Limits | undefined} limits @returns {Extent} */
export function sizeIn({ width, height }, limits) {
  const { max_pixels: pixels = Infinity, max_side: side = Infinity } = limits ?? {};
  const factor = Math.min(1, side / Math.max(width, height), Math.sqrt(pixels / (width * height)));
  if (factor === 1) return { width, height };
  return { width: Math.max(1, Math.floor(width * factor)), height: Math.max(1, Math.floor(height * factor)) };
}

/** A picture as the browser shows it, turned as its camera was held; no script in it runs. @param {Blob | string} source @returns {Promise<HTMLImageElement>} */
async function show(source) {
  const image = new Image();
  const address = typeof source === "string" ? source : URL.createObjectURL(source);
  try {
    await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject, src: address }));
  } finally {
    if (source !== address) URL.revokeObjectURL(address);
  }
  if (image.naturalWidth === 0) throw new Error("no picture");
  return image;
}

/**
 * Draw a picture and encode it, scaled down until the server accepts it.
 * @param {HTMLImageElement} image
 * @param {Extent} size
 * @param {string} type
 * @param {Limits | undefined} limits
 * @returns {Promise<Extent & {blob: Blob}>}
 */
async function encode(image, { width, height }, type, limits) {
  const context = canvas2d(width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => context.canvas.toBlob(resolve, type, QUALITY));
  context.canvas.width = 0; // release the memory now
  if (blob === null) throw new Error("no picture");
  if (blob.size <= (limits?.max_body_mb ?? Infinity) * MB) return { blob, width, height };
  return encode(image, { width: Math.floor(width * SHRINK), height: Math.floor(height * SHRINK) }, type, limits);
}

/** The picture at an address that only this page can read, as a PNG. @param {string} address */
export async function drawn(address) {
  const image = await show(address);
  return (await encode(image, { width: image.naturalWidth, height: image.naturalHeight }, "image/png", undefined)).blob;
}

/** Offer a file to the user under its name. @param {File} file */
export function saveFile(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Drawings: what the page must know before the browser draws them.

const SVG = "http://www.w3.org/2000/svg";
/** CSS pixels per unit. */
const UNITS = /** @type {Record<string, number>} */ ({
  "": 1,
  px: 1,
  pt: 4 / 3,
  pc: 16,
  in: 96,
  cm: 96 / 2.54,
  mm: 9.6 / 2.54,
  em: 16,
  rem: 16,
});
/** The CSS default size of a picture. */
const PLAIN = { width: 300, height: 150 };

/** The root of a drawing; throws for an invalid text. @param {string} text @returns {Element} */
function svgOf(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.localName !== "svg" || root.namespaceURI !== SVG) throw new Error("no drawing");
  return root;
}

/** The size of a drawing, by its attributes and its view box. @param {Pick<Element, "getAttribute">} root @returns {Extent} */
export function sizeOf(root) {
  const box = (root.getAttribute("viewBox") ?? "")
    .trim()
    .split(/[\s,]+/)
    .map(Number);
  const [across, down] = box.length === 4 && box[2] > 0 && box[3] > 0 ? box.slice(2) : [PLAIN.width, PLAIN.height];
  const [width, height] = [lengthOf(root.getAttribute("width")), lengthOf(root.getAttribute("height"))];
  if (width !== null && height !== null) return { width, height };
  if (width !== null) return { width, height: (width * down) / across };
  if (height !== null) return { width: (height * across) / down, height };
  return { width: across, height: down };
}

/** In CSS pixels; null for none, and for a percentage. @param {string | null} text */
function lengthOf(text) {
  const [, number, unit] = /^\s*([\d.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(text ?? "") ?? [];
  const length = Number(number) * (UNITS[(unit ?? "").toLowerCase()] ?? NaN);
  return length > 0 && Number.isFinite(length) ? length : null;
}

/**
 * @typedef {object} HandedOver
 * @property {File[]} files
 * @property {"error.notAPicture" | "error.otherPage" | null} problem   why there is none
 */

const SVG_TEXT = /^\s*(<\?xml[^>]*\?>\s*)?(<!--[\s\S]*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]/i;

/**
 * The files of what was dropped or pasted. Another browser window provides only a picture's address: its
 * content is fetched if a page may read it.
 *
 * @param {DataTransfer | null} transfer   read before the first await, because it is empty afterwards
 * @param {(address: string) => Promise<Blob>} load   gets what is at an address of this server
 * @returns {Promise<HandedOver>}
 */
export async function filesOf(transfer, load) {
  const files = [...(transfer?.files ?? [])];
  // Some programs provide a text with the picture.
  const pictures = files.filter((file) => file.type.startsWith("image/"));
  if (files.length > 0) return { files: pictures.length > 0 ? pictures : files, problem: null };
  const [html, list, text] = ["text/html", "text/uri-list", "text/plain"].map((type) => transfer?.getData(type) ?? "");
  if (SVG_TEXT.test(text)) return { files: [new File([text], "", { type: "image/svg+xml" })], problem: null };
  const address = pictureOf(html) ?? addressIn(list) ?? addressIn(text);
  if (address === null) return { files: [], problem: "error.notAPicture" };
  const blob = await contentOf(address, load).catch(() => null);
  if (blob === null) return { files: [], problem: "error.otherPage" };
  if (!blob.type.startsWith("image/")) return { files: [], problem: "error.notAPicture" };
  return { files: [new File([blob], nameIn(address), { type: blob.type })], problem: null };
}

/** The address of the first picture in a piece of HTML. @param {string} html */
const pictureOf = (html) => new DOMParser().parseFromString(html, "text/html").querySelector("img[src]")?.getAttribute("src") ?? null;

/** @param {string} text */
const addressIn = (text) => text.split(/[\r\n]+/).find((line) => /^(https?:\/\/|data:image\/|blob:)\S+$/i.test(line)) ?? null;

/** @param {string} address @param {(address: string) => Promise<Blob>} load @returns {Promise<Blob | null>}   null if the page may not read it */
async function contentOf(address, load) {
  if (/^data:/i.test(address)) return fromDataUrl(address);
  const { protocol, origin, href } = new URL(address, location.href);
  if (origin !== location.origin) return null;
  return protocol === "blob:" ? drawn(href) : load(href);
}

/** This page's content security policy does not allow `fetch` for data URLs. @param {string} address */
export function fromDataUrl(address) {
  const [, about, content] = /^data:([^,]*),([\s\S]*)$/i.exec(address) ?? ["", "", ""];
  const type = about.split(";")[0];
  if (!/;\s*base64$/i.test(about)) return new Blob([decodeURIComponent(content)], { type });
  return new Blob([Uint8Array.from(atob(decodeURIComponent(content)), (letter) => letter.charCodeAt(0))], { type });
}

/** @param {string} address */
const nameIn = (address) =>
  /^(data|blob):/i.test(address) ? "" : decodeURIComponent(new URL(address, location.href).pathname.split("/").pop() ?? "");

// File names.

/**
 * The name of a file that the page saves itself: the rule of `llm_dit/names.py`, tested with the same examples
 * (`tests/file_names.json`). Files from the server come with a name.
 */

const MAX_STEM_BYTES = 150;
const INVISIBLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const SEPARATORS = /[/\\:*?"<>|]+/g;
const FRONT = /^[ .\-\u200c\u200d]+/;
const BACK = /[ .\-\u200c\u200d]+$/;
const DEVICES = /^(CON|CONIN\$|CONOUT\$|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]) *(\.|$)/i;
const CONTINUES = /^[\u200c\u200d\p{Mn}\p{Mc}\p{Me}\u{1f3fb}-\u{1f3ff}]/u;

/**
 * @param {string} name   what people call a thing
 * @param {string} instead   when nothing of it can stay
 */
export function fileStem(name, instead) {
  const seen = name.normalize("NFC").replace(INVISIBLE, "").replace(SEPARATORS, "-");
  const stem = seen.trim().replace(/\s+/g, " ").replace(FRONT, "").replace(BACK, "");
  return cut(DEVICES.test(stem) ? `_${stem}` : stem).replace(BACK, "") || instead;
}

/** A text truncated to the byte limit at a grapheme boundary. @param {string} text */
function cut(text) {
  const signs = [...text];
  let [end, bytes] = [0, 0];
  for (; end < signs.length; end += 1) {
    bytes += new TextEncoder().encode(signs[end]).length;
    if (bytes > MAX_STEM_BYTES) break;
  }
  const most = end;
  while (end > 0 && end < signs.length && (CONTINUES.test(signs[end] ?? "") || signs[end - 1] === "\u200d")) end -= 1;
  return signs.slice(0, end || most).join("");
}

/** The name that the server gives a file, from its Content-Disposition (RFC 6266). @param {string | null} disposition */
export function nameOf(disposition) {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  return extended === undefined ? (/filename="([^"]+)"/i.exec(disposition ?? "")?.[1] ?? "") : decodeURIComponent(extended);
}
