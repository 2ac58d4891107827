import { EMPTY_DOC, newLayer, PLAIN, PLAIN_GROUP } from "./doc.js";
import { EMPTY_TIMELINE } from "./initial.js";

/**
 * The saved part of the state, as JSON: the document with its undo history, so that the server keeps the pictures in
 * it, and the running jobs.
 */

/** The upgrades of a document to the next format, that of format 1 first. @type {((kept: any) => any)[]} */
const STEPS = [
  // Layers had no rotation or stretch, and groups only names: missing fields have these defaults.
  (kept) => kept,
];
const FORMAT = STEPS.length + 1;
/** The server's limit of a document, with a margin. */
const MAX_LENGTH = 1_900_000;

/** @param {State} state */
export function snapshot(state) {
  const { settings, selected, folded } = state;
  const edits = Object.fromEntries(
    Object.entries(state.edits).map(([id, edit]) => [
      id,
      { ...edit, sending: false, tries: (edit.tries ?? []).filter(({ code }) => code !== "unreachable") },
    ]),
  );
  const jobs = Object.fromEntries(Object.entries(state.jobs).map(([id, tracked]) => [id, { ...tracked, previews: {} }]));
  return { format: FORMAT, ...packed(state), settings, edits, jobs, selected, folded };
}

/** The timeline with as much of its past as fits. @param {Timeline} timeline */
function packed({ doc, past, future }) {
  let [kept, ahead] = [past, future];
  let content = pack({ doc, past: kept, future: ahead });
  while (kept.length + ahead.length > 0 && JSON.stringify(content).length > MAX_LENGTH) {
    kept = kept.slice(Math.ceil(kept.length / 2));
    ahead = ahead.slice(Math.ceil(ahead.length / 2));
    content = pack({ doc, past: kept, future: ahead });
  }
  return content;
}

/** The document was saved by a newer version of the page. */
export class NewerError extends Error {}

/** @param {any} kept   what `snapshot` made, in this version or an older one @returns {{timeline: Timeline, patch: Partial<State>}} */
export function restore(kept) {
  const document = upgraded(kept);
  const { settings, edits, jobs, selected, folded } = document;
  return { timeline: unpack(document), patch: document.doc === undefined ? {} : { settings, edits, jobs, selected, folded } };
}

/** @param {any} kept */
function upgraded(kept) {
  const format = kept.format ?? 1;
  if (format > FORMAT) throw new NewerError();
  return STEPS.slice(format - 1).reduce((older, step) => step(older), kept);
}

/** The parts of the state whose changes are saved. @param {State} state @returns {unknown[]} */
export const partsOf = ({ doc, past, future, settings, edits, jobs, project }) => [
  doc,
  past,
  future,
  settings,
  edits,
  Object.keys(jobs).join(" "),
  project?.name,
];

/** Whether two snapshots show the same work; the way and time of the changes do not count. @param {any} a @param {any} b */
export const sameWork = (a, b) => workOf(a) === workOf(b);

/** Whether two snapshots have the same jobs and drafts. @param {any} a @param {any} b */
export const sameDrafts = (a, b) => draftsOf(a) === draftsOf(b);

/** @param {any} kept */
const draftsOf = ({ edits, jobs, settings }) => JSON.stringify([edits, Object.keys(jobs), settings]);

/** @param {any} kept */
function workOf(kept) {
  const { doc } = unpack(upgraded(kept));
  return JSON.stringify(doc, (key, value) => (key === "at" ? null : value));
}

/**
 * A timeline as JSON. Its documents share most of their layers, and a layer's versions are the same in all of them:
 * each layer and each list of versions is written once.
 */

/** @param {Timeline} timeline */
export function pack({ doc, past, future }) {
  /** @type {Map<Layer, number>} */
  const places = new Map();
  const place = (/** @type {Layer} */ layer) => {
    const known = places.get(layer) ?? places.size;
    places.set(layer, known);
    return known;
  };
  // JSON omits undefined values.
  const packStack = (/** @type {Result} */ each) => ({ ...each, frame: each.frame ?? undefined, layers: each.layers.map(place) });
  const packDoc = (/** @type {Doc} */ each) => ({ ...packStack(each), others: each.others.map(packStack) });
  const packSteps = (/** @type {readonly Step[]} */ steps) => steps.map((step) => ({ ...step, gesture: null, doc: packDoc(step.doc) }));
  const packed = { doc: packDoc(doc), past: packSteps(past), future: packSteps(future) };
  const versions = Object.fromEntries([...places.keys()].map((layer) => [layer.id, layer.versions]));
  const table = [...places.keys()].map(({ versions: _, ...layer }) => layer);
  // The server counts a project's layers without knowing more of it.
  return { ...packed, layers: packed.doc.layers, table, versions };
}

/** @param {any} packed   what `pack` made @returns {Timeline} */
export function unpack(packed) {
  const { doc, past, future, table, versions } = packed;
  if (doc === undefined) return { ...EMPTY_TIMELINE, doc: docOf(packed) };
  const layers = table.map((/** @type {any} */ layer) => ({ ...PLAIN, ...layer, versions: versions[layer.id] }));
  const unpackStack = (/** @type {any} */ each) => ({
    ...each,
    frame: each.frame ?? null,
    layers: each.layers.map((/** @type {number} */ place) => layers[place]),
  });
  const unpackDoc = (/** @type {any} */ each) => ({
    ...EMPTY_DOC,
    ...unpackStack(each),
    others: (each.others ?? []).map(unpackStack),
  });
  const unpackSteps = (/** @type {any[]} */ steps) => steps.map((step) => ({ ...step, doc: unpackDoc(step.doc) }));
  return { doc: unpackDoc(doc), past: unpackSteps(past), future: unpackSteps(future) };
}

/**
 * A stack in the form of requests, from a layered file or from a program that created a project. Its layers get their
 * index as id, so that every read gives the same ids, until the page saves them.
 * @param {any} stack @returns {Doc}
 */
function docOf({ width, height, picture, layers, groups = {} }) {
  const made = layers.map(
    (/** @type {any} */ { flip_x: flipX = false, flip_y: flipY = false, coverage = 1, ...layer }, /** @type {number} */ place) =>
      newLayer({ ...layer, coverage, flipX, flipY, id: `place-${place}` }),
  );
  return {
    ...EMPTY_DOC,
    width,
    height,
    layers: made,
    groups: fullGroups(groups),
    picture: picture ? { name: "", image: picture, width, height } : null,
  };
}

/** @param {Record<string, Partial<Group>>} groups   as files have them */
const fullGroups = (groups) => Object.fromEntries(Object.entries(groups).map(([label, group]) => [label, { ...PLAIN_GROUP, ...group }]));

// Local storage. If it is full or blocked, nothing is saved and the page works without it.

/**
 * @typedef {{version: number, name: string, document: any}} Unsaved   a project's changes that are not on the server yet
 */

const UNSAVED = "llm-dit.unsaved.";
const SPEEDS = "llm-dit.speeds";
const JOBS = "llm-dit.jobs";
const NOTIFYING = "llm-dit.notifying";

/** @param {string} id @returns {Unsaved | null} */
export const unsavedOf = (id) => read(UNSAVED + id);

/** @param {string} id @param {Unsaved} unsaved */
export const keepUnsaved = (id, unsaved) => write(UNSAVED + id, JSON.stringify(unsaved));

/** @param {string} id */
export const forgetUnsaved = (id) => attempt(() => localStorage.removeItem(UNSAVED + id), undefined);

/** The measured paces of this server, for estimates. @returns {Record<string, number>} */
export const loadSpeeds = () => read(SPEEDS) ?? {};

/** @param {Record<string, number>} speeds */
export const keepSpeeds = (speeds) => write(SPEEDS, JSON.stringify(speeds));

/** Whether notifications of this browser are turned on. @returns {boolean} */
export const wantsNotifications = () => read(NOTIFYING) ?? false;

/** @param {boolean} on */
export const keepNotifying = (on) => write(NOTIFYING, JSON.stringify(on));

/** @typedef {{project: string, projectName: string, layerId?: string, name?: string, instruction?: string}} JobNote   `name`: of the layer */

/** The purposes of this browser's jobs by id, which the server does not store. @returns {Record<string, JobNote>} */
export const notedJobs = () => read(JOBS) ?? {};

/** @param {string} id @param {JobNote} note */
export const noteJob = (id, note) => write(JOBS, JSON.stringify({ ...notedJobs(), [id]: note }));

/** Forget all jobs but these. @param {readonly string[]} ids */
export function forgetJobs(ids) {
  const notes = Object.entries(notedJobs());
  const kept = notes.filter(([id]) => ids.includes(id));
  if (kept.length < notes.length) write(JOBS, JSON.stringify(Object.fromEntries(kept)));
}

/** Save a choice, which boot.js reads before the first paint. @param {"theme" | "language"} name @param {string} choice */
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
