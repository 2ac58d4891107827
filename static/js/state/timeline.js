/**
 * Undo and redo over whole documents. A document is small (addresses, names, numbers) and never changed in place, so a
 * step simply keeps the one before it, and layers that did not change are shared.
 */
import { withLayers } from "./doc.js";

export const MAX_STEPS = 100;

/**
 * Carry out a command; the same timeline when it changes nothing. Commands in a row with one `gesture` (a slider that
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
  const known = docs.flatMap((each) => each.layers).find((layer) => layer.id === id);
  if (known === undefined) return { timeline: { doc, past, future }, index: -1 };
  const versions = [...known.versions, version];
  const share = sharing((/** @type {Layer} */ layer) => (layer.id === id ? { ...layer, versions } : layer));
  const renew = sharing((/** @type {Doc} */ each) =>
    each.layers.some((layer) => layer.id === id) ? withLayers(each, each.layers.map(share)) : each,
  );
  const steps = (/** @type {readonly Step[]} */ list) => list.map((step) => ({ ...step, doc: renew(step.doc) }));
  return { timeline: { doc: renew(doc), past: steps(past), future: steps(future) }, index: versions.length - 1 };
}

/** The function with one result for one value, so that what was shared stays shared. @template {object} T @param {(value: T) => T} change */
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
