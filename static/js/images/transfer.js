import { drawn } from "./files.js";

/**
 * @typedef {object} HandedOver
 * @property {File[]} files
 * @property {"error.notAPicture" | "error.otherPage" | null} problem   why there is none
 */

const SVG_TEXT = /^\s*(<\?xml[^>]*\?>\s*)?(<!--[\s\S]*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]/i;

/**
 * The files of what was dropped or pasted. Another window of the browser hands over the address of a picture at most: its
 * content is taken where a page may read it.
 *
 * @param {DataTransfer | null} transfer   is read before this function waits for anything, for it is empty afterwards
 * @param {(address: string) => Promise<Blob>} load   gets what is at an address of this server
 * @returns {Promise<HandedOver>}
 */
export async function filesOf(transfer, load) {
  const files = [...(transfer?.files ?? [])];
  // Some programs hand over a text beside the picture.
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

/** The address of the first picture in a piece of a page. @param {string} html */
const pictureOf = (html) => new DOMParser().parseFromString(html, "text/html").querySelector("img[src]")?.getAttribute("src") ?? null;

/** @param {string} text */
const addressIn = (text) => text.split(/[\r\n]+/).find((line) => /^(https?:\/\/|data:image\/|blob:)\S+$/i.test(line)) ?? null;

/** @param {string} address @param {(address: string) => Promise<Blob>} load @returns {Promise<Blob | null>}   null where no page may read it */
async function contentOf(address, load) {
  if (/^data:/i.test(address)) return fromDataUrl(address);
  const { protocol, origin, href } = new URL(address, location.href);
  if (origin !== location.origin) return null;
  return protocol === "blob:" ? drawn(href) : load(href);
}

/** The policy of this page lets `fetch` read no data URL. @param {string} address */
export function fromDataUrl(address) {
  const [, about, content] = /^data:([^,]*),([\s\S]*)$/i.exec(address) ?? ["", "", ""];
  const type = about.split(";")[0];
  if (!/;\s*base64$/i.test(about)) return new Blob([decodeURIComponent(content)], { type });
  return new Blob([Uint8Array.from(atob(decodeURIComponent(content)), (letter) => letter.charCodeAt(0))], { type });
}

/** @param {string} address */
const nameIn = (address) =>
  /^(data|blob):/i.test(address) ? "" : decodeURIComponent(new URL(address, location.href).pathname.split("/").pop() ?? "");
