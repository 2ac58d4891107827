/** What a picture was taken apart into, each time: one result is the document's own stack, the others wait beside it. */

/** How many wait at most; the oldest goes first. */
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

/** A new result in the place of the document's own, which waits from now on. @param {Doc} doc @param {Omit<Result, "number">} made @returns {Doc} */
export function withResult(doc, made) {
  const before = resultsOf(doc);
  return { ...doc, ...made, number: (before.at(-1)?.number ?? 0) + 1, others: before.slice(-MOST) };
}

/** One that waited in the place of the document's own. @param {Doc} doc @param {number} number @returns {Doc} */
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
