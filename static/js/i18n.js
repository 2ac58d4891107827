/** Every word the page says, in the reader's language. The words are in static/i18n, one file a language. */

/** @type {readonly {tag: string, name: string}[]} */
export const LANGUAGES = [
  { tag: "en", name: "English" },
  { tag: "zh-Hans", name: "简体中文" },
];

/** The language that boot.js chose before the first paint. */
export const language = document.documentElement.lang;

/** @type {Record<string, string>} */
const words = await (await fetch(`/static/i18n/${language}.json`)).json();
const plurals = new Intl.PluralRules(language);

/** The words of a key, with values in their places. @param {Key} key @param {Values} [values] */
export const t = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

/**
 * The words for so many: of the keys `….one` and `….other` the one that the language takes.
 * @param {Key extends infer K ? K extends `${infer S}.other` ? S : never : never} stem
 * @param {number} count
 * @param {Values} [values]
 */
export const many = (stem, count, values = {}) => t(/** @type {Key} */ (`${stem}.${plurals.select(count) === "one" ? "one" : "other"}`), { count, ...values });
