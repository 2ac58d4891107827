/** Every word the page says, in the reader's language. The words are in static/i18n, one file a language. */

/** @type {readonly {tag: string, name: string}[]} */
export const LANGUAGES = [
  { tag: "en", name: "English" },
  { tag: "zh-Hans", name: "简体中文" },
];

/** The language that boot.js chose before the first paint. */
export const language = /** @type {NonNullable<Wire.DecomposeRequest["language"]>} */ (document.documentElement.lang);

/** @param {string} tag @returns {Promise<Record<string, string>>} */
const wordsOf = (tag) => fetch(new URL(`../i18n/${tag}.json`, import.meta.url)).then((answer) => answer.json()).catch(() => ({}));
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
  return (words[key] = key.slice(key.lastIndexOf(".") + 1).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`));
}

/**
 * The words for so many: of the keys `….one` and `….other` the one that the language takes.
 * @param {Key extends infer K ? K extends `${infer S}.other` ? S : never : never} stem
 * @param {number} count
 * @param {Values} [values]
 */
export const many = (stem, count, values = {}) => t(/** @type {Key} */ (`${stem}.${plurals.select(count) === "one" ? "one" : "other"}`), { count, ...values });
