// @ts-check
import { useVersion } from "../commands/versions.js";
import { t } from "../i18n.js";
import { coverageOf } from "../images/pixels.js";
import { findLayer } from "../state/doc.js";
import { NEW_EDIT } from "../state/initial.js";
import { isSeed } from "../state/seed.js";
import { codeOf, messageOf } from "../transport/api.js";

/**
 * Editing one layer by instruction. The draft, the running job and the waiting result belong to the layer, not to the
 * modal, so closing the modal loses nothing.
 *
 * @param {import("./start.js").Context} context
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
    const layer = findLayer(store.state.doc, id);
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
   * @param {import("../types.js").EditPurpose} purpose
   */
  async function finish(job, purpose) {
    const { layerId } = purpose;
    if (job.status === "canceled") {
      setEdit(layerId, { jobId: null });
      return store.update({ notice: { text: t("notice.canceled"), action: null } });
    }
    if (job.status === "failed") {
      setEdit(layerId, { jobId: null, error: job.error?.message ?? t("error.unexpected"), errorCode: job.error?.code });
      return notify(layerId, "notice.editFailed");
    }
    try {
      const version = await versionOf(job, purpose);
      const index = store.addVersion(layerId, version);
      const result = index < 0 ? null : { version: index, before: purpose.before, seconds: job.result.generation_time };
      setEdit(layerId, { jobId: null, error: null, result });
      return notify(layerId, "notice.editReady");
    } catch (error) {
      return setEdit(layerId, { jobId: null, error: messageOf(error), errorCode: codeOf(error) });
    }
  }

  /**
   * Every result is a version of its layer, whatever becomes of it.
   * @param {import("../types.js").Job} job
   * @param {import("../types.js").EditPurpose} purpose
   * @returns {Promise<import("../types.js").Version>}
   */
  async function versionOf({ result: { image, seed, engine } }, { layerId, before, instruction, shape }) {
    const layer = findLayer(store.state.doc, layerId);
    const kept = shape === "keep" ? layer?.versions.find((version) => version.image === before) : undefined;
    const coverage = kept?.coverage ?? coverageOf(await bitmaps.load(image));
    return { image, coverage, instruction, seed, shape, engine, at: new Date().toISOString() };
  }

  /** Say it where the modal does not. @param {string} id @param {"notice.editReady" | "notice.editFailed"} text */
  function notify(id, text) {
    const layer = findLayer(store.state.doc, id);
    if (layer === null || store.state.editing === id) return;
    const action = { label: t("notice.review"), run: () => openEdit(id) };
    store.update({ notice: { text: t(text, { name: layer.name }), action } });
  }

  /** Put the result in the layer's place. @param {string} id */
  function acceptEdit(id) {
    const { result } = editOf(id);
    const layer = findLayer(store.state.doc, id);
    if (result === null || layer === null) return;
    setEdit(id, { result: null, instruction: "", error: null });
    const action = { label: t("notice.undo"), run: () => (store.undo(), store.update({ notice: null })) };
    const notice = { text: t("notice.replaced", { name: layer.name }), action };
    store.run(useVersion(layer, result.version), { editing: null, mode: "layers", notice });
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
