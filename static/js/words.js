import { many, t } from "./i18n.js";

/** Numbers as the page says them. */

/** @param {number} share   0–1 */
export const percent = (share) =>
  share > 0 && share < 0.001 ? t("number.tiny") : t("number.percent", { value: +(share * 100).toFixed(1) });

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 90) return t("number.seconds", { value: Math.max(1, Math.round(seconds)) });
  return t("number.minutes", { value: Math.round(seconds / 60) });
}

/** @param {number} seconds */
export const exactly = (seconds) => t("number.seconds", { value: seconds.toFixed(1) });

/** @param {number} bytes */
const gigabytes = (bytes) => (bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 1);

/** @param {number} done @param {number} all */
export const bytesOf = (done, all) => t("job.bytes", { done: gigabytes(done), all: gigabytes(all) });

/** @param {number} count */
export const layerCount = (count) => many("count.layers", count);

/** @param {number} width @param {number} height */
export const size = (width, height) => t("number.size", { width, height });

/** Formats by the names that people know: "PNG, JPEG, or SVG". @param {string[]} formats */
export const formatList = (formats) =>
  new Intl.ListFormat(document.documentElement.lang, { type: "disjunction" }).format(formats.map((format) => (format === "webp" ? "WebP" : format.toUpperCase())));

const AGES = /** @type {const} */ ([["minute", 60], ["hour", 3600], ["day", 86_400], ["week", 604_800]]);

/** How long ago a moment was. @param {number} moment   in seconds since 1970 */
export function ago(moment) {
  const seconds = Math.max(0, Date.now() / 1000 - moment);
  const [unit, length] = AGES.findLast(([, length]) => seconds >= length) ?? ["", 0];
  if (unit === "") return t("number.now");
  return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" }).format(-Math.floor(seconds / length), /** @type {any} */ (unit));
}

/** The engine's name without the device; a model has the same name in every language. @param {Status} status */
export function engineName({ engine_label: label }) {
  const name = label.split(" · ")[0];
  return name === "Classical" ? t("versions.classical") : name;
}

/** What the engine runs on, such as "CPU". @param {Status} status */
export const engineDevice = ({ engine_label: label }) => label.split(" · ").slice(1).join(" · ");
