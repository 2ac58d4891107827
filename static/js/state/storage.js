/**
 * What this browser keeps. Storage that is full or blocked keeps nothing, and the page goes on without it.
 *
 * @typedef {{version: number, name: string, document: any}} Unsaved   changes of a project that the server has not got yet
 */

const UNSAVED = "llm-dit.unsaved.";
const WORKSPACE = "llm-dit.workspace.2";
const SPEEDS = "llm-dit.speeds";

/** @param {string} id @returns {Unsaved | null} */
export const unsavedOf = (id) => read(() => localStorage, UNSAVED + id);

/** @param {string} id @param {Unsaved} unsaved */
export const keepUnsaved = (id, unsaved) => write(() => localStorage, UNSAVED + id, unsaved);

/** @param {string} id */
export function forgetUnsaved(id) {
  try {
    localStorage.removeItem(UNSAVED + id);
  } catch {
    // Blocked: there is nothing to forget.
  }
}

/**
 * Where the server keeps no projects, a tab keeps its own work (sessionStorage); a new tab, or a phone that threw the
 * tab away, starts from the last one written anywhere (localStorage).
 */
export const loadWorkspace = () => read(() => sessionStorage, WORKSPACE) ?? read(() => localStorage, WORKSPACE);

/** @param {any} workspace */
export function keepWorkspace(workspace) {
  for (const storage of [() => sessionStorage, () => localStorage]) write(storage, WORKSPACE, workspace);
}

/** How long work took on this server, for estimates. @returns {Record<string, number>} */
export const loadSpeeds = () => read(() => localStorage, SPEEDS) ?? {};

/** @param {Record<string, number>} speeds */
export const keepSpeeds = (speeds) => write(() => localStorage, SPEEDS, speeds);

/** @param {() => Storage} storage   a function, since blocked storage throws when it is named @param {string} key */
function read(storage, key) {
  try {
    return JSON.parse(storage().getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {() => Storage} storage @param {string} key @param {unknown} value */
function write(storage, key, value) {
  try {
    storage().setItem(key, JSON.stringify(value));
  } catch {
    // Full or blocked.
  }
}
