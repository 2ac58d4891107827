import { t } from "../i18n.js";
import { flatten } from "../images/compositor.js";
import { coverageOf } from "../images/pixels.js";
import { duplicate, mergeDown, mergeGroup, moveTo, remove, removeGroup, reorder } from "../state/commands.js";
import { findLayer, indexOf, newId, newLayer } from "../state/doc.js";

/** The stack. @param {Context} context @param {Travel} history */
export function createLayers({ store, api, bitmaps, tryTo }, { run, undo, endKeys }) {
  /** What to select once a layer is gone: the one that takes its place. @param {string} id */
  function neighbor(id) {
    const { layers } = store.state.doc;
    const index = indexOf(store.state.doc, id);
    return (layers[index - 1] ?? layers[index + 1])?.id ?? null;
  }

  /** @param {string} name */
  const deleted = (name) => ({ text: t("notice.deleted", { name }), action: { label: t("notice.undo"), run: undo } });

  /** Put layers together to one. @param {readonly Layer[]} layers   bottom to top @param {Pick<Layer, "name" | "group">} named @param {(merged: Layer) => Command} command */
  async function merge(layers, { name, group }, command) {
    const { doc } = store.state;
    await tryTo(async () => {
      const picture = await flatten(layers, doc, bitmaps);
      const [{ image }, coverage] = [await api.upload(await picture.toBlob()), coverageOf(picture.canvas)];
      const { width, height } = doc;
      const merged = newLayer({ id: newId(), name, group, image, width, height, coverage });
      run(command(merged), { selected: merged.id });
    });
  }

  return {
    /** @param {string | null} id */
    select: (id) => {
      if (store.state.selected !== id) store.update({ selected: id, notice: null });
    },

    /** Show where a layer's place and size are set. @param {string} id */
    openPlace: (id) => {
      const group = findLayer(store.state.doc, id)?.group;
      const folded = store.state.folded.filter((name) => name !== group);
      store.update({ editing: null, selected: id, placing: id, folded, notice: null });
    },
    placed: () => store.update({ placing: null }),

    /** Select the layer `by` places further up (positive) or down. @param {number} by */
    selectBy: (by) => {
      const { doc, selected } = store.state;
      const layer = doc.layers[indexOf(doc, selected) + by];
      if (layer !== undefined) store.update({ selected: layer.id });
    },

    /** @param {Layer} layer @param {number} index   of the stack, 0 at the bottom @param {string} [group] */
    reorder: (layer, index, group) => {
      const { length } = store.state.doc.layers;
      if (run(reorder(layer, index, group)))
        store.update({ spoken: t("layers.moved", { name: layer.name, place: length - index, count: length }) });
    },

    /** Move a layer by so many pixels; presses in a row are one step. @param {Layer} layer @param {number} dx @param {number} dy */
    nudge: (layer, dx, dy) => {
      run(moveTo(layer, layer.x + dx, layer.y + dy));
      const { x = 0, y = 0 } = findLayer(store.state.doc, layer.id) ?? {};
      store.update({ spoken: t("layers.placed", { name: layer.name, x, y }) });
      endKeys();
    },

    /** @param {Layer} layer */
    duplicate: (layer) => {
      const id = newId();
      run(duplicate(layer, id), { selected: id });
    },

    /** @param {Layer} layer */
    remove: (layer) => {
      const { selected } = store.state;
      run(remove(layer), { selected: selected === layer.id ? neighbor(layer.id) : selected, notice: deleted(layer.name) });
    },

    /** @param {string} name */
    removeGroup: (name) => {
      run(removeGroup(name), { notice: deleted(name) });
      const { doc, selected } = store.state;
      if (findLayer(doc, selected) === null) store.update({ selected: doc.layers.at(-1)?.id ?? null });
    },

    /** @param {string} name */
    fold: (name) => {
      const { folded } = store.state;
      store.update({ folded: folded.includes(name) ? folded.filter((other) => other !== name) : [...folded, name] });
    },

    /** Make one picture of a layer and the one below it. @param {Layer} upper */
    mergeDown: async (upper) => {
      const { doc } = store.state;
      const lower = doc.layers[indexOf(doc, upper.id) - 1];
      if (lower !== undefined) await merge([lower, upper], lower, (merged) => mergeDown(upper, merged));
    },

    /** Make one picture of a group. @param {string} group */
    mergeGroup: async (group) => {
      const layers = store.state.doc.layers.filter((layer) => layer.group === group);
      await merge(layers, { name: group, group: "" }, (merged) => mergeGroup(layers, merged));
    },
  };
}
