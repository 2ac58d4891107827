// @ts-check
/**
 * Undo and redo over whole projects. A project is small (addresses, names, numbers) and never changed in place, so a
 * step simply keeps the one before it.
 *
 * @typedef {import("../types.js").State} State
 * @typedef {import("../types.js").Project} Project
 * @typedef {Pick<State, "project" | "past" | "future">} Timeline
 */

const MAX_STEPS = 60;

/**
 * Take a new project. Steps in a row with one `key` (a slider that is being dragged) count as one.
 *
 * @param {Timeline} timeline
 * @param {string} label   what the step did, as the undo button names it
 * @param {Project} project
 * @param {string | null} [key]
 * @returns {Timeline}
 */
export function commit({ project: before, past }, label, project, key = null) {
  const goesOn = key !== null && past.at(-1)?.key === key;
  const steps = goesOn ? past : [...past, { label, key, project: before }].slice(-MAX_STEPS);
  return { project, past: steps, future: [] };
}

/**
 * End a run of steps that count as one.
 * @param {Timeline} timeline
 * @returns {Timeline}
 */
export function seal({ project, past, future }) {
  return { project, past: past.map((step) => (step.key === null ? step : { ...step, key: null })), future };
}

/**
 * @param {Timeline} timeline
 * @returns {Timeline}
 */
export function undo({ project, past, future }) {
  const step = past.at(-1);
  if (step === undefined) return { project, past, future };
  return { project: step.project, past: past.slice(0, -1), future: [...future, { ...step, key: null, project }] };
}

/**
 * @param {Timeline} timeline
 * @returns {Timeline}
 */
export function redo({ project, past, future }) {
  const step = future.at(-1);
  if (step === undefined) return { project, past, future };
  return { project: step.project, past: [...past, { ...step, project }], future: future.slice(0, -1) };
}
