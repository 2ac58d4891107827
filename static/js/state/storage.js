// @ts-check
/**
 * What outlives a reload. A tab keeps its own copy (sessionStorage); a new tab, or a phone that threw the tab away,
 * starts from the last one written anywhere (localStorage). Pictures stay on the server, only addresses are here.
 *
 * @typedef {import("../types.js").State} State
 */

const KEY = "llm-dit.workspace.1";
const KEPT = /** @type {const} */ (["project", "past", "future", "settings", "edits", "jobs", "speeds", "selected"]);
const SAVE_MS = 150;

/** @returns {Partial<State>} */
export function loadWorkspace() {
  try {
    const text = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
    return text === null ? {} : JSON.parse(text);
  } catch {
    return {};
  }
}

/** @param {import("./store.js").Store} store */
export function keepWorkspace(store) {
  let timer = 0;
  const save = () => {
    timer = 0;
    const kept = Object.fromEntries(KEPT.map((key) => [key, store.state[key]]));
    kept.edits = Object.fromEntries(Object.entries(store.state.edits).map(([id, edit]) => [id, { ...edit, sending: false }]));
    const text = JSON.stringify(kept);
    for (const storage of [() => sessionStorage, () => localStorage]) write(storage, text);
  };
  store.addEventListener("change", () => {
    if (timer === 0) timer = setTimeout(save, SAVE_MS);
  });
  addEventListener("pagehide", save);
}

/**
 * @param {() => Storage} storage   a function, since blocked storage throws when it is named
 * @param {string} text
 */
function write(storage, text) {
  try {
    storage().setItem(KEY, text);
  } catch {
    // Storage is full or blocked: the page goes on without it.
  }
}
