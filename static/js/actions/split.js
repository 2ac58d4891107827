import { layersOf } from "../commands/picture.js";
import { split } from "../commands/stack.js";
import { many, t } from "../i18n.js";
import { findLayer } from "../state/doc.js";
import { atWork } from "../state/jobs.js";
import { requestFor } from "./decompose.js";

/** Taking one layer apart, into a group in its place. @param {Context} context @param {Jobs} jobs */
export function createSplit({ store, api, tryTo }, jobs) {
  /** @param {Layer} layer */
  async function splitLayer(layer) {
    if (atWork(store.state, "split", layer.id).length > 0) return;
    store.update({ notice: null });
    const settings = /** @type {Partial<Settings>} */ ({ ...store.state.settings, seed: null, size: "original" });
    await tryTo(async () => jobs.track(await api.decompose(requestFor({ ...store.state, settings }, layer)), { kind: "split", layerId: layer.id }));
  }

  /** @param {Job} job @param {SplitPurpose} purpose */
  function finish(job, { layerId }) {
    const layer = findLayer(store.state.doc, layerId);
    if (job.status === "failed") return store.say(job.error?.message ?? t("error.unexpected"));
    if (layer === null) return store.say(t("notice.splitGone"));
    const parts = partsOf(layer, job);
    if (parts.length < 2) return store.say(t("notice.splitNothing", { name: layer.name }));
    store.run(split(layer, parts), { selected: parts.at(-1)?.id ?? null });
    return store.say(t("notice.split", { name: layer.name, layers: many("count.layers", parts.length) }));
  }

  return { finish, actions: { splitLayer } };
}

/** A part that covers less is a remnant, not a thing. */
const REMNANT = 0.0005;

/**
 * What a layer was taken apart into, each part where it lay within the layer. What is left of it at the bottom keeps its
 * name.
 * @param {Layer} layer
 * @param {Job} job
 */
function partsOf(layer, { id, result }) {
  const { x, y, flipX, flipY, opacity, visible, blend } = layer;
  const found = layersOf(/** @type {Wire.DecomposeResponse} */ (result), id).filter((part) => part.coverage > REMNANT);
  const named = found.map((part, index) => (index === 0 ? { ...part, name: layer.name } : part));
  return named.map((part) => ({ ...part, x, y, flipX, flipY, opacity, visible, blend, scale: (layer.scale * layer.width) / part.width }));
}
