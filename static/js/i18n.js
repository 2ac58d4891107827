/** Every word the page says, in the reader's language. The words are in static/i18n, one file a language. */

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
 * The words of a key, with values in their places. A key that the types could not foresee, as of a server that is newer
 * than this page, is said by its own name: nothing that is shown may fail for want of a word.
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
 * The words for so many: of the keys `….one` and `….other` the one that the language takes.
 * @param {Key extends infer K ? K extends `${infer S}.other` ? S : never : never} stem
 * @param {number} count
 * @param {Values} [values]
 */
export const many = (stem, count, values = {}) =>
  t(/** @type {Key} */ (`${stem}.${plurals.select(count) === "one" ? "one" : "other"}`), { count, ...values });

// Numbers as the page says them.

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
  new Intl.ListFormat(document.documentElement.lang, { type: "disjunction" }).format(
    formats.map((format) => (format === "webp" ? "WebP" : format.toUpperCase())),
  );

/** Things by their names: "A, B, and C". @param {string[]} names */
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

/** What people call an engine: in the words of the language, or by the name that a server gives one of its own. @param {string} engine */
export const engineName = (engine) => words[`engine.name.${engine}`] ?? engine;

/** Why an instruction was refused: in the words of the language, or as a server that is newer says it. @param {Pick<Try, "hint" | "reason">} refused */
export function refusalOf({ hint, reason }) {
  const key = /** @type {Key} */ (`refusal.${hint?.reason}`);
  return key in words ? t(key, { part: hint?.part ?? "" }) : reason;
}

/** What the engine runs on, such as "CPU". @param {Status} status */
export const engineDevice = ({ engine_label: label }) => label.split(" · ").slice(1).join(" · ");
