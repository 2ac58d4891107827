// @ts-check
import { commit } from "../state/history.js";
import { projectFromAnswer } from "../state/project.js";
import { compareImages } from "../images/fidelity.js";
import { messageOf } from "../transport/api.js";
import { strings } from "../strings.js";

/**
 * Taking the picture apart.
 * @param {import("./actions.js").Context} context
 * @param {import("./jobs.js").Jobs} jobs
 */
export function createDecompose({ store, api, bitmaps }, jobs) {
  async function decompose() {
    const { project, sending } = store.state;
    if (project.picture === null || sending || isDecomposing(store.state)) return;
    const picture = project.picture;
    store.update({ sending: true, sourceError: null });
    try {
      const job = await api.decompose(requestFor(store.state, picture));
      jobs.track(job, { kind: "decompose", picture });
    } catch (error) {
      store.update({ sourceError: messageOf(error) });
    } finally {
      store.update({ sending: false });
    }
  }

  /**
   * @param {import("../types.js").Job} job
   * @param {{picture: import("../types.js").Picture}} purpose
   */
  function finish(job, { picture }) {
    if (job.status === "canceled") return store.update({ notice: { text: strings.notices.canceled, action: null } });
    if (job.status === "failed") return store.update({ sourceError: job.error?.message ?? strings.errors.unexpected });
    const answer = job.result;
    const project = projectFromAnswer(picture, answer, job.id);
    const megapixels = (project.width * project.height) / 1e6;
    store.update({
      ...commit(store.state, strings.steps.decompose, project),
      pace: { ...store.state.pace, [answer.engine]: answer.generation_time / megapixels },
      selected: project.layers.at(-1)?.id ?? null,
      mode: "layers",
      notice: { text: strings.notices.decomposed(project.layers.length, answer.generation_time), action: null },
    });
  }

  /** Compare what the server composed with the original, whenever another pair is on the table. */
  async function measureFidelity() {
    const { picture, composite } = store.state.project;
    if (picture === null || composite === null) return store.update({ fidelity: null });
    try {
      const [original, rebuilt] = await Promise.all([bitmaps.load(picture.image), bitmaps.load(composite)]);
      if (store.state.project.composite === composite) store.update({ fidelity: compareImages(original, rebuilt) });
    } catch (error) {
      store.update({ stageError: messageOf(error) });
    }
  }

  return { finish, actions: { decompose, measureFidelity } };
}

/** @param {import("../types.js").State} state */
export const isDecomposing = (state) =>
  state.sending || Object.values(state.jobs).some((tracked) => tracked.purpose.kind === "decompose");

/**
 * @param {import("../types.js").State} state
 * @param {import("../types.js").Picture} picture
 */
function requestFor({ settings, status }, picture) {
  const body = { image: picture.image, layer_num: settings.layerNum, seed: settings.seed, ...sizeFor(settings.size) };
  if (status?.engine === "classical") return body;
  return { ...body, prompt: settings.prompt, steps: settings.steps, cfg_scale: settings.cfgScale };
}

/** What a model works at when the layers are wanted at the original size. */
export const MODEL_RESOLUTION = 1024;

/** @param {import("../types.js").Size} size */
function sizeFor(size) {
  if (size === "original") return { resolution: MODEL_RESOLUTION, output_size: "original" };
  return { resolution: Number(size), output_size: "model" };
}

/**
 * The size that the model gives a picture: about resolution² pixels, aspect kept, sides multiples of 32.
 * @param {import("../types.js").Picture} picture
 * @param {number} resolution
 */
export function bucket(picture, resolution) {
  const side = Math.sqrt(picture.width / picture.height) * resolution;
  const other = side / (picture.width / picture.height);
  return { width: Math.round(side / 32) * 32, height: Math.round(other / 32) * 32 };
}
