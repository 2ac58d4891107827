import { asLayer, flatten } from "../images/compositor.js";
import { changedShare, compareImages } from "../images/difference.js";
import { pairOf } from "../state/store.js";
import { messageOf } from "../transport/api.js";

/** Large enough for a measurement, and fast. */
const SIDE_PX = 1024;
const PAUSE_MS = 250;

/** Compares the stack with the original, or two of its states: shows them and measures the difference. @param {Context} context */
export function createComparison({ store, bitmaps }) {
  let pending = 0;

  /** Measure the current stack. */
  async function measure() {
    const { doc, compared } = store.state;
    const pair = pairOf(store.state);
    if (pair !== null) {
      const [before, after] = await Promise.all(pair.map((state) => flatten(layersOf(state.doc), state.doc, bitmaps, SIDE_PX)));
      const share = changedShare(before.canvas, after.canvas);
      if (store.state.doc === doc && store.state.compared === compared)
        store.update({ measured: { ...compareImages(before.canvas, after.canvas), share } });
      return;
    }
    if (doc.picture === null || doc.layers.length === 0) return;
    const original = await bitmaps.load(doc.picture.image);
    const { canvas } = await flatten(...behind(doc), bitmaps, SIDE_PX);
    if (store.state.doc === doc) store.update({ measured: compareImages(original, canvas) });
  }

  function measureSoon() {
    clearTimeout(pending);
    if (store.state.measured !== null) store.update({ measured: null });
    // The stage reports missing pictures.
    if (store.state.mode !== "layers") pending = setTimeout(() => measure().catch(() => {}), PAUSE_MS);
  }

  /** @param {readonly Doc[]} compared @param {ViewPatch} [patch] */
  function compare(compared, patch = {}) {
    store.update({ compared, tool: null, ...patch });
    measureSoon();
  }

  return {
    measureSoon,

    /** Called if a comparison of two states begins or ends. */
    turnToPair: () => {
      store.update({ mode: pairOf(store.state) === null ? "layers" : "slider" });
      measureSoon();
    },

    /** Show or hide previews of runs on the stage. */
    togglePreview: () => store.update({ previewing: !store.state.previewing }),

    /** Show the history instead of the layers, or the layers again. @param {boolean} on */
    walk: (on) => (on ? store.update({ walking: true }) : compare([], { walking: false })),

    /** Mark a state for comparison, or unmark it; a third one replaces the oldest. @param {Doc} doc */
    markState: (doc) => {
      const { compared } = store.state;
      compare(compared.includes(doc) ? compared.filter((other) => other !== doc) : [...compared.slice(-1), doc]);
    },
    stopComparing: () => compare([]),

    /** @param {Mode} mode */
    show: (mode) => {
      store.update({ mode, tool: null });
      measureSoon();
    },

    /** Compare the server's composite with the original if either has changed. */
    measureFidelity: async () => {
      const { picture, composite } = store.state.doc;
      if (picture === null || composite === null) return store.update({ fidelity: null });
      try {
        const [original, rebuilt] = await Promise.all([bitmaps.load(picture.image), bitmaps.load(composite)]);
        if (store.state.doc.composite === composite) store.update({ fidelity: compareImages(original, rebuilt) });
      } catch (error) {
        store.update({ stageError: messageOf(error) });
      }
    },
  };
}

/** A document's layers; before a decomposition, its picture. @param {Doc} doc */
const layersOf = ({ layers, picture }) => (layers.length > 0 || picture === null ? layers : [asLayer(picture)]);

/** The layers at the picture's position, and its size. @param {Doc} doc @returns {[readonly Layer[], Doc]} */
function behind(doc) {
  const { frame, layers } = doc;
  if (frame === null) return [layers, doc];
  const moved = layers.map((layer) => ({ ...layer, x: layer.x - frame.x, y: layer.y - frame.y }));
  return [moved, { ...doc, width: frame.width, height: frame.height }];
}
