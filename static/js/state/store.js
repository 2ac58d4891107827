import { addVersion, endGesture, record, redo, undo } from "./timeline.js";

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

  /** @param {ViewPatch} patch */
  update(patch) {
    this.#set(patch);
  }

  /** Say something that goes by itself. @param {string} text @param {NoticeAction | null} [action] */
  say(text, action = null) {
    this.#set({ notice: { text, action } });
  }

  /**
   * Change the document by a command; false when it changes nothing.
   * @param {Command} command
   * @param {ViewPatch} [patch]   what else changes in the same moment
   */
  run(command, patch = {}) {
    const timeline = record(this.#timeline, command);
    const changes = timeline !== this.#timeline;
    this.#set({ ...timeline, ...patch });
    return changes;
  }

  /** End a run of commands that count as one step. */
  endGesture() {
    this.#travel(endGesture(this.#timeline));
  }

  undo() {
    this.#travel(undo(this.#timeline));
  }

  redo() {
    this.#travel(redo(this.#timeline));
  }

  /**
   * Keep a picture as another version of a layer, whatever is undone. Returns its index, -1 when the layer is gone.
   * @param {string} id
   * @param {Version} version
   */
  addVersion(id, version) {
    const { timeline, index } = addVersion(this.#timeline, id, version);
    if (index >= 0) this.#set(timeline);
    return index;
  }

  /** Take in another document with its own past. @param {Timeline} timeline @param {ViewPatch} patch */
  load(timeline, patch) {
    this.#set({ ...timeline, ...patch });
  }

  /** @returns {Timeline} */
  get #timeline() {
    return this.#state;
  }

  /** @param {Timeline} timeline */
  #travel({ doc, past, future }) {
    this.#set({ doc, past, future });
  }

  /** @param {Partial<State>} patch */
  #set(patch) {
    this.#state = { ...this.#state, ...patch };
    this.dispatchEvent(new Event("change"));
  }
}
