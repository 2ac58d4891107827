import { flatten } from "../images/compositor.js";
import { compareImages } from "../images/difference.js";
import { messageOf } from "../transport/api.js";

/** Measuring is worth it at this size, and quick. */
const SIDE_PX = 1024;
const PAUSE_MS = 250;

/** The stack next to the original: shown, and measured. @param {Context} context */
export function createComparison({ store, bitmaps }) {
  let pending = 0;

  /** Measure the stack as it is. */
  async function measure() {
    const { doc } = store.state;
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

  return {
    measureSoon,

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

/** The layers where the picture lies, and how large that is. @param {Doc} doc @returns {[readonly Layer[], Doc]} */
function behind(doc) {
  const { frame, layers } = doc;
  if (frame === null) return [layers, doc];
  const moved = layers.map((layer) => ({ ...layer, x: layer.x - frame.x, y: layer.y - frame.y }));
  return [moved, { ...doc, width: frame.width, height: frame.height }];
}
