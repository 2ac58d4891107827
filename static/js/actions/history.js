import { t } from "../i18n.js";
import { findLayer } from "../state/doc.js";

/** How long keys may pause before the next press counts as another step. */
const PAUSE_MS = 1000;

/** Changes of the document, and back and forth through them. @param {Context} context */
export function createHistory({ store }) {
  let ending = 0;

  /** @param {"past" | "future"} where @param {"undo" | "redo"} travel @param {"notice.undone" | "notice.redone"} say */
  function go(where, travel, say) {
    const step = store.state[where].at(-1);
    if (step === undefined) return;
    store[travel]();
    const { doc, selected } = store.state;
    const still = findLayer(doc, selected) === null ? (doc.layers.at(-1)?.id ?? null) : selected;
    store.update({ selected: still, stageError: null });
    store.say(t(say, { label: t(step.title, step.about) }));
  }

  /** Change the document. Commands of one gesture are one step until `endGesture`. @param {Command} command @param {ViewPatch} [patch] */
  function run(command, patch = {}) {
    clearTimeout(ending);
    return store.run(command, { notice: null, ...patch });
  }

  return {
    run,
    undo: () => go("past", "undo", "notice.undone"),
    redo: () => go("future", "redo", "notice.redone"),

    endGesture: () => {
      clearTimeout(ending);
      store.endGesture();
    },

    /** End the gesture, unless it goes on within a moment, as it does from key to key. */
    endKeys: () => {
      clearTimeout(ending);
      ending = setTimeout(() => store.endGesture(), PAUSE_MS);
    },
  };
}
