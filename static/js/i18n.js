/** The page's texts in the user's language, from static/i18n, one file per language. */

/** @type {readonly {tag: NonNullable<Wire.DecomposeRequest["language"]>, name: string}[]} */
export const LANGUAGES = [
  { tag: "en", name: "English" },
  { tag: "zh-Hans", name: "简体中文" },
];

/** The language that boot.js chose before the first paint. */
export const language = /** @type {NonNullable<Wire.DecomposeRequest["language"]>} */ (document.documentElement.lang);

/** @param {string} tag @returns {Promise<Record<string, string>>} */
const wordsOf = (tag) =>
  fetch(new URL(`../i18n/${tag}.json`, import.meta.url))
    .then((answer) => answer.json())
    .catch(() => ({}));
const [own, english] = await Promise.all([wordsOf(language), language === "en" ? {} : wordsOf("en")]);
/** @type {Record<string, string>} */
const words = { ...english, ...own };
const plurals = new Intl.PluralRules(language);

/**
 * The text of a key, with values inserted. An unknown key, such as one from a server newer than
 * this page, is shown as its own name, so that a missing text never fails.
 * @param {Key} key
 * @param {Values} [values]
 */
export const t = (key, values = {}) => (words[key] ?? nameless(key)).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** @param {string} key */
function nameless(key) {
  console.warn(`There are no words for ${key}.`);
  words[key] = key.slice(key.lastIndexOf(".") + 1).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[key];
}

/**
 * The text for a count: the language's choice of the keys `….one` and `….other`.
 * @param {Key extends infer K ? K extends `${infer S}.other` ? S : never : never} stem
 * @param {number} count
 * @param {Values} [values]
 */
export const many = (stem, count, values = {}) =>
  t(/** @type {Key} */ (`${stem}.${plurals.select(count) === "one" ? "one" : "other"}`), { count, ...values });

// Formatting of numbers.

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

/** A list of format names: "PNG, JPEG, or SVG". @param {string[]} formats */
export const formatList = (formats) =>
  new Intl.ListFormat(document.documentElement.lang, { type: "disjunction" }).format(
    formats.map((format) => (format === "webp" ? "WebP" : format.toUpperCase())),
  );

/** A list of names: "A, B, and C". @param {string[]} names */
export const listOf = (names) => new Intl.ListFormat(document.documentElement.lang).format(names);

const AGES = /** @type {const} */ ([
  ["minute", 60],
  ["hour", 3600],
  ["day", 86_400],
  ["week", 604_800],
]);

/** How long ago a moment was. @param {number} moment   in seconds since 1970 */
export function ago(moment) {
  const seconds = Math.max(0, Date.now() / 1000 - moment);
  const [unit, length] = AGES.findLast(([, length]) => seconds >= length) ?? ["", 0];
  if (unit === "") return t("number.now");
  return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" }).format(
    -Math.floor(seconds / length),
    /** @type {any} */ (unit),
  );
}

/** An engine's display name: translated, or the server's name. @param {string} engine */
export const engineName = (engine) => words[`engine.name.${engine}`] ?? engine;

/** Why an instruction was refused: translated, or in the words of a newer server. @param {Pick<Try, "hint" | "reason">} refused */
export function refusalOf({ hint, reason }) {
  const key = /** @type {Key} */ (`refusal.${hint?.reason}`);
  return key in words ? t(key, { part: hint?.part ?? "" }) : reason;
}

/** What the engine runs on, such as "CPU". @param {Status} status */
export const engineDevice = ({ engine_label: label }) => label.split(" · ").slice(1).join(" · ");
