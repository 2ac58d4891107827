/**
 * What this browser keeps. Storage that is full or blocked keeps nothing, and the page goes on without it.
 *
 * @typedef {{version: number, name: string, document: any}} Unsaved   changes of a project that the server has not got yet
 */

const UNSAVED = "llm-dit.unsaved.";
const SPEEDS = "llm-dit.speeds";

/** @param {string} id @returns {Unsaved | null} */
export const unsavedOf = (id) => read(UNSAVED + id);

/** @param {string} id @param {Unsaved} unsaved */
export const keepUnsaved = (id, unsaved) => write(UNSAVED + id, JSON.stringify(unsaved));

/** @param {string} id */
export const forgetUnsaved = (id) => attempt(() => localStorage.removeItem(UNSAVED + id), undefined);

/** How long work took on this server, for estimates. @returns {Record<string, number>} */
export const loadSpeeds = () => read(SPEEDS) ?? {};

/** @param {Record<string, number>} speeds */
export const keepSpeeds = (speeds) => write(SPEEDS, JSON.stringify(speeds));

/** Keep a choice, as boot.js reads it before the first paint. @param {"theme" | "language"} name @param {string} choice */
export const keepChoice = (name, choice) => write(`llm-dit.${name}`, choice);

/** @param {string} key */
const read = (key) => attempt(() => JSON.parse(localStorage.getItem(key) ?? "null"), null);

/** False where storage is full or blocked. @param {string} key @param {string} text */
const write = (key, text) =>
  attempt(() => {
    localStorage.setItem(key, text);
    return true;
  }, false);

/** @template T @param {() => T} work @param {T} otherwise */
function attempt(work, otherwise) {
  try {
    return work();
  } catch {
    return otherwise;
  }
}
