import { inAllResults } from "./results.js";

/**
 * Undo and redo over whole documents. A document is small (addresses, names, numbers) and never changed in place, so a
 * step simply keeps the one before it, and layers that did not change are shared.
 */

export const MAX_STEPS = 100;

/**
 * Execute a command; returns the same timeline if nothing changes. Commands in a row with one `gesture` (a slider that
 * is being dragged) are one step.
 *
 * @param {Timeline} timeline
 * @param {Command} command
 * @returns {Timeline}
 */
export function record(timeline, { title, about, gesture, apply }) {
  const { doc: before, past } = timeline;
  const doc = apply(before);
  if (doc === before) return timeline;
  const goesOn = gesture !== null && past.at(-1)?.gesture === gesture;
  const steps = goesOn ? past : [...past, { title, about, gesture, doc: before }].slice(-MAX_STEPS);
  return { doc, past: steps, future: [] };
}

/** End a run of commands that count as one. @param {Timeline} timeline @returns {Timeline} */
export function endGesture(timeline) {
  const last = timeline.past.at(-1);
  if (last === undefined || last.gesture === null) return timeline;
  return { ...timeline, past: [...timeline.past.slice(0, -1), { ...last, gesture: null }] };
}

/** @param {Timeline} timeline @returns {Timeline} */
export function undo(timeline) {
  const { doc, past, future } = timeline;
  const step = past.at(-1);
  if (step === undefined) return timeline;
  return { doc: step.doc, past: past.slice(0, -1), future: [...future, { ...step, gesture: null, doc }] };
}

/** @param {Timeline} timeline @returns {Timeline} */
export function redo(timeline) {
  const { doc, past, future } = timeline;
  const step = future.at(-1);
  if (step === undefined) return timeline;
  return { doc: step.doc, past: [...past, { ...step, doc }], future: future.slice(0, -1) };
}

/** @typedef {{doc: Doc, step: Step | null, index: number}} HistoryState   `step` says what made it, `index` is how many steps lie before it */

/** The states of undo and redo, the oldest first, without the state before there was a picture. @param {Timeline} timeline @returns {HistoryState[]} */
export function statesOf({ doc, past, future }) {
  const ahead = [...future].reverse();
  const docs = [...past.map((step) => step.doc), doc, ...ahead.map((step) => step.doc)];
  const steps = [null, ...past, ...ahead];
  return docs.map((each, index) => ({ doc: each, step: steps[index], index })).filter((state) => state.doc.width > 0);
}

/** The timeline with its document at an index of steps. @param {Timeline} timeline @param {number} index @returns {Timeline} */
export function goTo(timeline, index) {
  let there = timeline;
  while (there.past.length > index) there = undo(there);
  while (there.past.length < index && there.future.length > 0) there = redo(there);
  return there;
}

/**
 * The states that the stage compares, the older one first: two that are marked, or the marked one and the current one.
 * @param {State} state
 * @returns {[HistoryState, HistoryState] | null}
 */
export function pairOf({ compared, tool, ...state }) {
  if (compared.length === 0 || tool !== null) return null;
  const chosen = compared.length > 1 ? compared : [...compared, state.doc];
  const [before, after] = statesOf(state).filter(({ doc }) => chosen.includes(doc));
  return after === undefined ? null : [before, after];
}

/**
 * Give a layer another version, in every document of the timeline that has the layer: no undo, and no step that cuts
 * off a redo, loses it. Returns the timeline and the version's index, -1 when no document knows the layer.
 *
 * @param {Timeline} timeline
 * @param {string} id
 * @param {Version} version
 * @returns {{timeline: Timeline, index: number}}
 */
export function addVersion({ doc, past, future }, id, version) {
  const docs = [doc, ...past.map((step) => step.doc), ...future.map((step) => step.doc)];
  const known = docs
    .flatMap((each) => [each, ...each.others])
    .flatMap(({ layers }) => layers)
    .find((layer) => layer.id === id);
  if (known === undefined) return { timeline: { doc, past, future }, index: -1 };
  const versions = [...known.versions, version];
  const share = sharing((/** @type {Layer} */ layer) => (layer.id === id ? { ...layer, versions } : layer));
  /** @template {Pick<Doc, "layers" | "groups">} T @param {T} stack @returns {T} */
  const change = (stack) => (stack.layers.some((layer) => layer.id === id) ? { ...stack, layers: stack.layers.map(share) } : stack);
  const renew = sharing((/** @type {Doc} */ each) => inAllResults(each, change));
  const steps = (/** @type {readonly Step[]} */ list) => list.map((step) => ({ ...step, doc: renew(step.doc) }));
  return { timeline: { doc: renew(doc), past: steps(past), future: steps(future) }, index: versions.length - 1 };
}

/** Memoize a function by value, so that shared values stay shared. @template {object} T @param {(value: T) => T} change */
function sharing(change) {
  /** @type {Map<T, T>} */
  const changed = new Map();
  return (/** @type {T} */ value) => {
    const known = changed.get(value);
    if (known !== undefined) return known;
    const next = change(value);
    changed.set(value, next);
    return next;
  };
}

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

  /** Show a notice that disappears by itself. @param {string} text @param {NoticeAction | null} [action] */
  say(text, action = null) {
    this.#set({ notice: { text, action } });
  }

  /**
   * Change the document by a command; false if nothing changes.
   * @param {Command} command
   * @param {ViewPatch} [patch]   other changes at the same time
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

  /** Undo or redo to an index of steps. @param {number} index */
  goTo(index) {
    this.#travel(goTo(this.#timeline, index));
  }

  /**
   * Add a version to a layer, independent of undo. Returns its index, -1 if the layer does not exist.
   * @param {string} id
   * @param {Version} version
   */
  addVersion(id, version) {
    const { timeline, index } = addVersion(this.#timeline, id, version);
    if (index >= 0) this.#set(timeline);
    return index;
  }

  /** Load another document with its own history. @param {Timeline} timeline @param {ViewPatch} patch */
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
    // Selecting a layer clears the selected group and other layers, unless the patch sets them.
    const alone = patch.selected !== undefined && patch.selected !== this.#state.selected ? { group: null, also: [] } : {};
    this.#state = { ...this.#state, ...alone, ...patch };
    this.dispatchEvent(new Event("change"));
  }
}
