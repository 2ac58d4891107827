// @ts-check
import { commit, undo } from "../state/history.js";
import { NEW_EDIT } from "../state/initial.js";
import { isSeed } from "../state/seed.js";
import { findLayer, patchLayer } from "../state/project.js";
import { coverageOf } from "../images/pixels.js";
import { codeOf, messageOf } from "../transport/api.js";
import { strings } from "../strings.js";

/**
 * Editing one layer by instruction. The draft, the running job and the waiting result belong to the layer, not to the
 * modal, so closing the modal loses nothing.
 *
 * @param {import("./actions.js").Context} context
 * @param {import("./jobs.js").Jobs} jobs
 */
export function createEdits({ store, api, bitmaps }, jobs) {
  /** @param {string} id */
  const editOf = (id) => store.state.edits[id] ?? NEW_EDIT;

  /** @param {string} id @param {Partial<import("../types.js").Edit>} patch */
  function setEdit(id, patch) {
    store.update({ edits: { ...store.state.edits, [id]: { ...editOf(id), ...patch } } });
  }

  /** @param {string} id */
  const openEdit = (id) => store.update({ editing: id, selected: id, notice: null });

  /** @param {string} id */
  async function applyEdit(id) {
    const layer = findLayer(store.state.project, id);
    const edit = editOf(id);
    const instruction = edit.instruction.trim();
    if (layer === null || instruction === "" || isEditing(edit) || !isSeed(edit.seed)) return;
    store.update({ notice: null });
    setEdit(id, { sending: true, error: null });
    try {
      const job = await api.editLayer(requestFor(store.state, layer, { ...edit, instruction }));
      setEdit(id, { sending: false, jobId: job.id });
      jobs.track(job, { kind: "edit", layerId: id, before: layer.image, instruction, shape: edit.shape });
    } catch (error) {
      setEdit(id, { sending: false, error: messageOf(error), errorCode: codeOf(error) });
    }
  }

  /**
   * @param {import("../types.js").Job} job
   * @param {{layerId: string, before: string, instruction: string, shape?: "keep" | "new"}} purpose
   */
  function finish(job, { layerId, before, instruction, shape }) {
    if (job.status === "canceled") {
      setEdit(layerId, { jobId: null });
      return store.update({ notice: { text: strings.notices.canceled, action: null } });
    }
    if (job.status === "failed") {
      setEdit(layerId, { jobId: null, error: job.error?.message ?? strings.errors.unexpected, errorCode: job.error?.code });
      return notify(layerId, strings.notices.editFailed);
    }
    const { image, seed, generation_time: seconds } = job.result;
    setEdit(layerId, { jobId: null, error: null, result: { image, before, instruction, shape, seed, seconds } });
    return notify(layerId, strings.notices.editReady);
  }

  /** Say it where the modal does not. @param {string} id @param {(name: string) => string} text */
  function notify(id, text) {
    const layer = findLayer(store.state.project, id);
    if (layer === null || store.state.editing === id) return;
    const action = { label: strings.notices.review, run: () => openEdit(id) };
    store.update({ notice: { text: text(layer.name), action } });
  }

  /** Put the result in the layer's place. @param {string} id */
  async function acceptEdit(id) {
    const { result } = editOf(id);
    const layer = findLayer(store.state.project, id);
    if (result === null || layer === null) return;
    try {
      const sameShape = result.shape === "keep" && result.before === layer.image;
      const coverage = sameShape ? layer.coverage : coverageOf(await bitmaps.load(result.image));
      const patch = { image: result.image, coverage, version: layer.version + 1 };
      store.update(commit(store.state, strings.steps.replace(layer.name), patchLayer(store.state.project, id, patch)));
      setEdit(id, { result: null, instruction: "", error: null });
      const action = { label: strings.notices.undo, run: () => store.update({ ...undo(store.state), notice: null }) };
      store.update({ editing: null, mode: "layers", notice: { text: strings.notices.replaced(layer.name), action } });
    } catch (error) {
      setEdit(id, { error: messageOf(error), errorCode: codeOf(error) });
    }
  }

  return {
    finish,
    actions: {
      openEdit,
      closeEdit: () => store.update({ editing: null }),
      setEdit,
      applyEdit,
      acceptEdit,
      /** @param {string} id */
      discardEdit: (id) => setEdit(id, { result: null, error: null }),
    },
  };
}

/** @param {import("../types.js").Edit} edit */
export const isEditing = (edit) => edit.sending || edit.jobId !== null;

/**
 * @param {import("../types.js").State} state
 * @param {import("../types.js").Layer} layer
 * @param {import("../types.js").Edit} edit
 */
function requestFor({ status }, layer, { instruction, shape, seed, steps, cfgScale }) {
  const body = { image: layer.image, instruction, shape, seed };
  return status?.engine === "classical" ? body : { ...body, steps, cfg_scale: cfgScale };
}
