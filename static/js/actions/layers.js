// @ts-check
import { commit, redo, seal, undo } from "../state/history.js";
import { findLayer, moveLayer, patchLayer } from "../state/project.js";
import { strings } from "../strings.js";

/** The stack: order, eye, opacity, names, and undo over all of it. @param {import("./actions.js").Context} context */
export function createLayers({ store }) {
  let sealing = 0;

  /** @param {string} label @param {import("../types.js").Project} project @param {string | null} [key] */
  const change = (label, project, key) => store.update({ ...commit(store.state, label, project, key), notice: null });

  /** @param {import("../types.js").State["past"][number] | undefined} step @param {typeof undo} travel @param {(label: string) => string} say */
  function go(step, travel, say) {
    if (step === undefined) return;
    store.update({ ...travel(store.state), notice: { text: say(step.label), action: null }, stageError: null });
    if (findLayer(store.state.project, store.state.selected) !== null) return;
    store.update({ selected: store.state.project.layers.at(-1)?.id ?? null });
  }

  return {
    undo: () => go(store.state.past.at(-1), undo, strings.notices.undone),
    redo: () => go(store.state.future.at(-1), redo, strings.notices.redone),

    /** @param {string} id */
    select: (id) => {
      if (store.state.selected !== id) store.update({ selected: id, notice: null });
    },

    /** Select the layer `by` places further up (positive) or down. @param {number} by */
    selectBy: (by) => {
      const { project, selected } = store.state;
      const index = project.layers.findIndex((layer) => layer.id === selected) + by;
      const layer = project.layers[index];
      if (layer !== undefined) store.update({ selected: layer.id });
    },

    /** @param {string} id */
    toggle: (id) => {
      const layer = findLayer(store.state.project, id);
      if (layer === null) return;
      const label = (layer.visible ? strings.steps.hide : strings.steps.show)(layer.name);
      change(label, patchLayer(store.state.project, id, { visible: !layer.visible }));
    },

    /** All of one adjustment is one step; `endOpacity` ends it. @param {string} id @param {number} opacity */
    setOpacity: (id, opacity) => {
      clearTimeout(sealing);
      const layer = findLayer(store.state.project, id);
      if (layer === null || layer.opacity === opacity) return;
      change(strings.steps.opacity(layer.name), patchLayer(store.state.project, id, { opacity }), `opacity ${id}`);
    },

    /** End the adjustment, unless it goes on within so many milliseconds, as it does from key to key. */
    endOpacity: (wait = 0) => {
      clearTimeout(sealing);
      const end = () => store.update(seal(store.state));
      if (wait > 0) sealing = setTimeout(end, wait);
      else end();
    },

    /** @param {string} id @param {number} index   of the stack, 0 at the bottom */
    moveTo: (id, index) => {
      const { layers } = store.state.project;
      const from = layers.findIndex((layer) => layer.id === id);
      if (from < 0 || index < 0 || index >= layers.length || index === from) return;
      const { name } = layers[from];
      change(strings.steps.move(name), moveLayer(store.state.project, id, index));
      store.update({ spoken: strings.layers.moved(name, layers.length - index, layers.length) });
    },

    /** @param {string} id @param {string} name */
    rename: (id, name) => {
      const layer = findLayer(store.state.project, id);
      if (layer === null || name === "" || name === layer.name) return;
      change(strings.steps.rename(layer.name), patchLayer(store.state.project, id, { name }));
    },
  };
}
