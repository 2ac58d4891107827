// @ts-check
import { layersOf } from "../commands/picture.js";
import { split } from "../commands/stack.js";
import { many, t } from "../i18n.js";
import { findLayer } from "../state/doc.js";
import { messageOf } from "../transport/api.js";
import { requestFor } from "./decompose.js";

/**
 * Taking one layer apart, into a group in its place.
 * @param {import("./start.js").Context} context
 * @param {import("./jobs.js").Jobs} jobs
 */
export function createSplit({ store, api }, jobs) {
  /** @param {import("../types.js").Layer} layer */
  async function splitLayer(layer) {
    if (isSplitting(store.state, layer.id)) return;
    store.update({ notice: null });
    try {
      const { seed, ...settings } = store.state.settings;
      const request = requestFor({ ...store.state, settings: { ...settings, seed: null, size: "original" } }, layer);
      jobs.track(await api.decompose(request), { kind: "split", layerId: layer.id });
    } catch (error) {
      store.update({ notice: { text: messageOf(error), action: null } });
    }
  }

  /**
   * @param {import("../types.js").Job} job
   * @param {import("../types.js").SplitPurpose} purpose
   */
  function finish(job, { layerId }) {
    const layer = findLayer(store.state.doc, layerId);
    const say = (/** @type {string} */ text) => store.update({ notice: { text, action: null } });
    if (job.status === "canceled") return say(t("notice.canceled"));
    if (job.status === "failed") return say(job.error?.message ?? t("error.unexpected"));
    if (layer === null) return say(t("notice.splitGone"));
    const parts = partsOf(layer, job);
    if (parts.length < 2) return say(t("notice.splitNothing", { name: layer.name }));
    store.run(split(layer, parts), { selected: parts.at(-1)?.id ?? null });
    return say(t("notice.split", { name: layer.name, layers: many("count.layers", parts.length) }));
  }

  return { finish, actions: { splitLayer } };
}

/** A part that covers less is a remnant, not a thing. */
const REMNANT = 0.0005;

/**
 * What a layer was taken apart into, each part where it lay within the layer. What is left of it at the bottom keeps its
 * name.
 * @param {import("../types.js").Layer} layer
 * @param {import("../types.js").Job} job
 */
function partsOf(layer, { id, result }) {
  const { x, y, flipX, flipY, opacity, visible, blend } = layer;
  const found = layersOf(result, id).filter((part) => part.coverage > REMNANT);
  const named = found.map((part, index) => (index === 0 ? { ...part, name: layer.name } : part));
  return named.map((part) => Object.freeze({ ...part, x, y, flipX, flipY, opacity, visible, blend, scale: (layer.scale * layer.width) / part.width }));
}

/** @param {import("../types.js").State} state @param {string} layerId */
export const isSplitting = ({ jobs }, layerId) => Object.values(jobs).some(({ purpose }) => purpose.kind === "split" && purpose.layerId === layerId);
