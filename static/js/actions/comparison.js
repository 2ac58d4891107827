import { asLayer, flatten } from "../images/compositor.js";
import { changedShare, compareImages } from "../images/difference.js";
import { pairOf } from "../state/store.js";
import { messageOf } from "../transport/api.js";

/** Measuring is worth it at this size, and quick. */
const SIDE_PX = 1024;
const PAUSE_MS = 250;

/** The stack next to the original, or two states of it next to each other: shown, and measured. @param {Context} context */
export function createComparison({ store, bitmaps }) {
  let pending = 0;

  /** Measure the stack as it is. */
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
    // Pictures that are gone are said to be gone by the stage.
    if (store.state.mode !== "layers") pending = setTimeout(() => measure().catch(() => {}), PAUSE_MS);
  }

  /** @param {readonly Doc[]} compared @param {ViewPatch} [patch] */
  function compare(compared, patch = {}) {
    store.update({ compared, tool: null, ...patch });
    measureSoon();
  }

  return {
    measureSoon,

    /** Two states have come to be compared, or are so no longer. */
    turnToPair: () => {
      store.update({ mode: pairOf(store.state) === null ? "layers" : "slider" });
      measureSoon();
    },

    /** Show on the stage what runs make, or no longer. */
    togglePreview: () => store.update({ previewing: !store.state.previewing }),

    /** Show the history in the place of the layers, or no longer. @param {boolean} on */
    walk: (on) => (on ? store.update({ walking: true }) : compare([], { walking: false })),

    /** Mark a state to be compared, or no longer; of three the one that was marked first goes. @param {Doc} doc */
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

    /** Compare what the server composed with the original, whenever another pair is on the table. */
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

/** What a document shows; one that was not taken apart its picture. @param {Doc} doc */
const layersOf = ({ layers, picture }) => (layers.length > 0 || picture === null ? layers : [asLayer(picture)]);

/** The layers where the picture lies, and how large that is. @param {Doc} doc @returns {[readonly Layer[], Doc]} */
function behind(doc) {
  const { frame, layers } = doc;
  if (frame === null) return [layers, doc];
  const moved = layers.map((layer) => ({ ...layer, x: layer.x - frame.x, y: layer.y - frame.y }));
  return [moved, { ...doc, width: frame.width, height: frame.height }];
}
