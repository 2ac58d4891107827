import { BY_HAND, EMPTY_DOC, findLayer, indexOf, insertLayers, isShown, newLayer, withLayers } from "./doc.js";
import { atWork, capabilitiesOf, LIMITS, NEW_EDIT, samplingOf } from "./initial.js";

/**
 * Results of runs. For edits of layers: the versions, the running jobs, the earlier instructions.
 * For a picture: its decompositions.
 */

/** @param {State} state @param {string} id @returns {Edit} */
export function editOf(state, id) {
  const { edits, config } = state;
  const context = hasContext(state, id) && (edits[id]?.context ?? (findLayer(state.doc, id)?.coverage ?? 1) < 1);
  return { ...NEW_EDIT, ...samplingOf(config?.edit_defaults), ...edits[id], context };
}

/** Whether the engine can get a layer's surroundings. @param {State} state @param {string} id */
export const hasContext = (state, id) =>
  capabilitiesOf(state).edit.includes("context") && state.doc.layers.some((layer) => layer.id !== id && isShown(state.doc, layer));

/** The offered versions, by index: all but discarded ones and strokes replaced by later ones. @param {Layer} layer */
export const offered = ({ versions, current, discarded }) =>
  [...versions.keys()].filter((index) => index === current || (!discarded.includes(index) && versions[index].engine !== BY_HAND));

/**
 * A layer's chosen entry: a running job, a failed try, or else a version, which is the current one
 * if the chosen one no longer exists.
 *
 * @param {State} state
 * @param {Layer} layer
 * @returns {{index: number, run: TrackedJob | null, failed: Try | null}}
 */
export function chosenOf(state, layer) {
  const { chosen, tries } = editOf(state, layer.id);
  const run = atWork(state, "edit", layer.id).find(({ job }) => job.id === chosen) ?? null;
  const failed = run === null ? (tries.find(({ id }) => id === chosen) ?? null) : null;
  const index = typeof chosen === "number" && offered(layer).includes(chosen) ? chosen : layer.current;
  return { index, run, failed };
}

/** Whether the chosen version can replace the layer. @param {State} state @param {Layer} layer */
export function isProposed(state, layer) {
  const { index, run, failed } = chosenOf(state, layer);
  return run === null && failed === null && index !== layer.current;
}

/** The badge in the layer's row for its edits. @param {State} state @param {Layer} layer @returns {Badge | null} */
export function badgeOf(state, layer) {
  const { sending, waiting } = editOf(state, layer.id);
  if (sending || atWork(state, "edit", layer.id).length > 0) return "running";
  if (waiting.some((index) => index !== layer.current && offered(layer).includes(index))) return "ready";
  return chosenOf(state, layer).failed?.status === "failed" ? "failed" : null;
}

/**
 * The seeds of a batch of runs: the locked or drawn one, and those after it.
 * @param {Edit} edit
 * @param {number} drawn
 */
export function seedsFor({ seed, locked, variants }, drawn) {
  const wanted = locked && typeof seed === "number" ? seed : drawn;
  const first = Math.min(wanted, LIMITS.maxSeed - variants + 1);
  return Array.from({ length: variants }, (_, index) => first + index);
}

/** The instructions in this project, the latest first, each once, including layers that exist only in the history. @param {State} state */
export function instructionsOf({ doc, past, edits }) {
  const lists = new Set([doc, ...past.map((step) => step.doc)].flatMap(({ layers }) => layers.map(({ versions }) => versions)));
  const made = [...lists].flat().filter(({ instruction }) => instruction !== "");
  made.sort((a, b) => (b.at ?? "").localeCompare(a.at ?? ""));
  const tried = Object.values(edits).flatMap(({ tries = [] }) => [...tries].reverse());
  return [...new Set([...made, ...tried].map(({ instruction }) => instruction))];
}

/** Whether the draft equals the request of an entry of the layer. @param {Edit} edit @param {{instruction: string, shape: string | null, region?: readonly RegionMark[], references?: readonly Reference[], context?: boolean}} entry */
export const asksFor = ({ instruction, shape, region, references, context }, entry) =>
  instruction.trim() === entry.instruction &&
  (entry.shape === null || shape === entry.shape) &&
  JSON.stringify([region, references, context ?? false]) ===
    JSON.stringify([entry.region ?? [], entry.references ?? [], entry.context ?? false]);

/**
 * The document as a run's previews show it; null if no run has any.
 * @param {State} state
 * @param {(key: string, url: string) => string | null} held   the newest loaded picture of a key
 * @returns {{doc: Doc, tracked: TrackedJob} | null}
 */
export function previewOf({ doc, jobs }, held) {
  for (const tracked of Object.values(jobs)) {
    const { job, purpose, previews } = tracked;
    const shown = Object.entries(previews).map(([layer, url]) => ({ layer: Number(layer), image: held(`${job.id} ${layer}`, url) }));
    const images = shown.flatMap(({ layer, image }) => (image === null ? [] : [{ id: `preview-${layer}`, layer, image }]));
    images.sort((a, b) => a.layer - b.layer);
    if (images.length === 0) continue;
    if (purpose.kind === "decompose") {
      const { width, height } = purpose.picture;
      const layers = images.map(({ id, image }) => newLayer({ id, name: "", image, width, height, coverage: 1 }));
      return { doc: { ...withLayers(EMPTY_DOC, layers), picture: purpose.picture, width, height }, tracked };
    }
    const index = indexOf(doc, purpose.layerId);
    if (index < 0) continue;
    const parts = images.map(({ id, image }) => ({ ...doc.layers[index], id: purpose.kind === "edit" ? purpose.layerId : id, image }));
    return { doc: insertLayers(doc, index, parts, 1), tracked };
  }
  return null;
}

// The decompositions of a picture: one result is the document's own stack, the others are kept beside it.

/** The limit of other results; the oldest is removed first. */
const MOST = 7;

/** The document's own result. @param {Doc} doc @returns {Result} */
const resultOf = ({ layers, width, height, frame, composite, made, groups, score, seed, prompt, number }) => ({
  layers,
  width,
  height,
  frame,
  composite,
  made,
  groups,
  score,
  seed,
  prompt,
  number,
});

/** All results, the oldest first; none for a document without layers. @param {Doc} doc @returns {readonly Result[]} */
export const resultsOf = (doc) => (doc.layers.length === 0 ? doc.others : sorted([...doc.others, resultOf(doc)]));

/** @param {readonly Result[]} results */
const sorted = (results) => [...results].sort((a, b) => a.number - b.number);

/** Replace the document's own result by a new one, and keep the old one. @param {Doc} doc @param {Omit<Result, "number">} made @returns {Doc} */
export function withResult(doc, made) {
  const before = resultsOf(doc);
  return { ...doc, ...made, number: (before.at(-1)?.number ?? 0) + 1, others: before.slice(-MOST) };
}

/** Switch to a kept result. @param {Doc} doc @param {number} number @returns {Doc} */
export function turnTo(doc, number) {
  const chosen = doc.others.find((other) => other.number === number);
  if (chosen === undefined) return doc;
  return { ...doc, ...chosen, others: resultsOf(doc).filter((other) => other.number !== number) };
}

/** The document with every stack of it changed. @param {Doc} doc @param {<T extends Pick<Doc, "layers" | "groups">>(stack: T) => T} change @returns {Doc} */
export function inAllResults(doc, change) {
  const others = doc.others.map(change);
  const changed = change(doc);
  return others.every((other, index) => other === doc.others[index]) ? changed : { ...changed, others };
}
