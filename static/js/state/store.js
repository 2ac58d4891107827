// @ts-check
/** @typedef {import("../types.js").State} State */

/** Holds the state and says "change". Actions write it, views read it; nothing else does either. */
export class Store extends EventTarget {
  /** @type {State} */
  #state;

  /** @param {State} state */
  constructor(state) {
    super();
    this.#state = state;
  }

  get state() {
    return this.#state;
  }

  /** @param {Partial<State>} patch */
  update(patch) {
    this.#state = { ...this.#state, ...patch };
    this.dispatchEvent(new Event("change"));
  }
}
