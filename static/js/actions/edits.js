import { t } from "../i18n.js";
import { changedShare } from "../images/difference.js";
import { sendable } from "../images/files.js";
import { coverageOf } from "../images/pixels.js";
import { add, discardVersion, layerFrom, useVersion } from "../state/commands.js";
import { findLayer, newId, stackAround } from "../state/doc.js";
import { capabilitiesOf, engineField, isSeed, loraField, sampled, used } from "../state/initial.js";
import { asksFor, chosenOf, editOf, instructionsOf, isProposed, offered, seedsFor } from "../state/results.js";
import { codeOf, messageOf } from "../transport/api.js";
import { hintsOf } from "./tools.js";

const MAX_TRIES = 12;
/** @type {Marking} */
const NEW_MARKING = { how: "brush", takesAway: false, size: 0.08 };
const NOTICES = /** @type {const} */ ({ failed: "notice.editFailed", canceled: "notice.editCanceled", unchanged: "notice.editUnchanged" });

/**
 * Editing one layer by instruction. The draft, the runs and the results belong to the layer, not to the modal, so
 * closing the modal loses nothing.
 *
 * @param {Context} context
 * @param {Jobs} jobs
 * @param {Travel} history
 */
export function createEdits({ store, api, bitmaps, tryTo }, jobs, { run, undo }) {
  const edit = (/** @type {string} */ id) => editOf(store.state, id);
  /** Results are processed in order: versions have the order of their requests, whichever picture loads first. */
  let taking = Promise.resolve();

  /** @param {string} id @param {Partial<Edit>} patch */
  function setEdit(id, patch) {
    store.update({ edits: { ...store.state.edits, [id]: { ...edit(id), ...patch } } });
  }

  /** @param {string} id */
  const openEdit = (id) => store.update({ editing: id, selected: id, notice: null, marking: null });

  /** @param {string} id */
  async function applyEdit(id) {
    const [layer, draft, { project }] = [findLayer(store.state.doc, id), edit(id), store.state];
    const instruction = draft.instruction.trim();
    if (layer === null || instruction === "" || draft.sending || !isSeed(draft.seed) || isAtIt(layer)) return;
    const variants = capabilitiesOf(store.state).edit.includes("seed") ? draft.variants : 1;
    const seeds = seedsFor({ ...draft, variants }, drawSeed());
    // Remove tries that are repeated, changed nothing, or never reached the server.
    const tries = draft.tries.filter((entry) => entry.status === "failed" && entry.code !== "unreachable" && !asksFor(draft, entry));
    setEdit(id, { sending: true, seed: seeds[0], chosen: null, tries });
    store.update({ notice: null, marking: null });
    const region =
      draft.region.length > 0
        ? import("../images/painting.js").then(({ regionFor }) => regionFor(layer, draft.region, { api, bitmaps }))
        : null;
    for (const seed of seeds) {
      const { shape, references } = draft;
      const asked = { instruction, shape, seed, region: draft.region, references, context: draft.context ?? false };
      await start({ kind: "edit", layerId: id, before: layer.image, ...asked }, draft, region);
      if (store.state.project?.id !== project?.id) return;
    }
    setEdit(id, { sending: false });
  }

  /** Whether the chosen run is active and equals the draft: then a second press is a mistake. @param {Layer} layer */
  function isAtIt(layer) {
    const purpose = chosenOf(store.state, layer).run?.purpose;
    return purpose?.kind === "edit" && asksFor(edit(layer.id), purpose);
  }

  /** @param {EditPurpose} purpose @param {Edit} draft @param {Promise<Wire.RegionOfLayer> | null} region */
  async function start(purpose, draft, region) {
    try {
      const where = await region;
      const job = await api.editLayer({ ...requestFor(store.state, purpose, draft), ...(where && { region: where }) });
      jobs.track(job, purpose);
      if (edit(purpose.layerId).chosen === null) setEdit(purpose.layerId, { chosen: job.id });
    } catch (error) {
      fail(purpose, { id: newId(), status: "failed", reason: messageOf(error), code: codeOf(error), hint: null });
    }
  }

  /**
   * Keep a failed try with its reason, in the place of its run.
   * @param {EditPurpose} purpose
   * @param {Pick<Try, "id" | "status" | "reason" | "code" | "hint">} about
   */
  function fail({ layerId, instruction, shape, seed, region, references, context }, about) {
    const { tries, chosen } = edit(layerId);
    const entry = { ...about, instruction, shape, seed, region, references, context };
    const others = tries.filter(({ id }) => id !== about.id);
    setEdit(layerId, { tries: [...others, entry].slice(-MAX_TRIES), chosen: chosen ?? about.id });
    notify(layerId, NOTICES[about.status]);
  }

  /** @param {Job} job @param {EditPurpose} purpose */
  async function take({ id, status, error, result }, purpose) {
    const plain = { id, hint: null };
    if (status === "canceled") return fail(purpose, { ...plain, status, reason: t("edit.canceled"), code: "canceled" });
    if (status === "failed") {
      const { message: reason = t("error.unexpected"), code = "", hint = null } = error ?? {};
      return fail(purpose, { id, status, reason, code, hint });
    }
    try {
      const made = /** @type {Wire.EditLayerResponse} */ (result);
      const [before, after] = await Promise.all([bitmaps.load(purpose.before), bitmaps.load(made.image)]);
      if (changedShare(before, after) === 0)
        return fail(purpose, { ...plain, status: "unchanged", reason: t("edit.unchanged"), code: "unchanged" });
      const layer = findLayer(store.state.doc, purpose.layerId);
      const known = layer === null ? -1 : (offered(layer).find((other) => layer.versions[other].image === made.image) ?? -1);
      const index = known < 0 ? store.addVersion(purpose.layerId, versionOf(made, purpose, after)) : known;
      if (index < 0) return undefined;
      const { chosen, waiting } = edit(purpose.layerId);
      if (known >= 0) {
        setEdit(purpose.layerId, { chosen: chosen === id ? index : chosen });
        return store.say(
          t("notice.editSame", { version: index === 0 ? t("versions.original") : t("layers.version", { number: index + 1 }) }),
        );
      }
      setEdit(purpose.layerId, { waiting: [...waiting, index], chosen: chosen === id ? index : chosen });
      return notify(purpose.layerId, "notice.editReady");
    } catch (problem) {
      return fail(purpose, { ...plain, status: "failed", reason: messageOf(problem), code: codeOf(problem) });
    }
  }

  /** Every result becomes a version of its layer, accepted or not; it has a seed if that affected the result. @param {Wire.EditLayerResponse} result @param {EditPurpose} purpose @param {ImageBitmap} bitmap @returns {Version} */
  function versionOf(
    { image, seed: drawn, engine, generation_time: seconds, recipe },
    { layerId, before, instruction, shape, region, references, context },
    bitmap,
  ) {
    const layer = findLayer(store.state.doc, layerId);
    const kept = shape === "keep" ? layer?.versions.find((version) => version.image === before) : undefined;
    const coverage = kept?.coverage ?? coverageOf(bitmap);
    const seed = capabilitiesOf(store.state).edit.includes("seed") ? drawn : null;
    return {
      image,
      coverage,
      instruction,
      seed,
      shape,
      engine,
      at: new Date().toISOString(),
      from: before,
      seconds,
      recipe,
      region,
      references,
      context,
    };
  }

  /** Show a notice if the modal does not show the result. @param {string} id @param {"notice.editReady" | typeof NOTICES[Try["status"]]} text */
  function notify(id, text) {
    const layer = findLayer(store.state.doc, id);
    if (layer === null || store.state.editing === id) return;
    store.say(t(text, { name: layer.name }), { label: t("notice.review"), run: () => openEdit(id) });
  }

  /** A decision about the chosen version. @param {(layer: Layer, index: number) => void} decide */
  const deciding = (decide) => (/** @type {string} */ id) => {
    const layer = findLayer(store.state.doc, id);
    if (layer !== null && isProposed(store.state, layer)) decide(layer, chosenOf(store.state, layer).index);
  };

  /** @param {string} text */
  const undoable = (text) => ({ text, action: { label: t("notice.undo"), run: undo } });

  /** Show an entry. Its instruction replaces that of another entry, but never typed text. @param {string} id @param {Chosen} chosen */
  function chooseEdit(id, chosen) {
    const [layer, draft] = [findLayer(store.state.doc, id), edit(id)];
    if (layer === null) return;
    const entry = typeof chosen === "number" ? layer.versions[chosen] : draft.tries.find((one) => one.id === chosen);
    const typed = draft.instruction.trim();
    const replaceable = typed === "" || instructionsOf(store.state).includes(typed);
    const taken =
      entry === undefined || entry.instruction === "" || !replaceable
        ? {}
        : {
            instruction: entry.instruction,
            shape: entry.shape ?? draft.shape,
            region: entry.region ?? [],
            references: entry.references ?? [],
            context: entry.context ?? null,
          };
    setEdit(id, { chosen, ...taken });
  }

  return {
    /** @param {Job} job @param {EditPurpose} purpose */
    finish: (job, purpose) => {
      taking = taking.then(() => take(job, purpose));
    },
    actions: {
      openEdit,
      closeEdit: () => store.update({ editing: null, marking: null }),
      setEdit,

      /** Start or change marking a part of the layer. @param {Partial<Marking>} change */
      setMarking: (change) => {
        const { marking, versus } = store.state;
        store.update({ marking: { ...(marking ?? NEW_MARKING), ...change }, versus: { ...versus, where: "layer" } });
      },

      /** Mark an object of the layer. @param {Layer} layer @param {Mark} pointed   a place on it, or a box around it */
      markObject: (layer, pointed) =>
        tryTo(async () => {
          const busy = (/** @type {boolean} */ on) =>
            store.state.marking && store.update({ marking: { ...store.state.marking, busy: on } });
          const { id, image, width, height } = layer;
          busy(true);
          try {
            const asked = { layers: [{ image }], width, height, ...hintsOf([{ ...pointed, takesAway: false }]) };
            const { mask, box } = await api.select(asked);
            if (box === null) return store.say(t("select.nothing"));
            const { markOfObject } = await import("../images/painting.js");
            const mark = await markOfObject({ ...pointed, kind: "object" }, mask, { api, bitmaps });
            setEdit(id, { region: [...edit(id).region, mark] });
            return store.update({ spoken: t("select.found") });
          } finally {
            busy(false);
          }
        }),

      /** @param {string} id @param {File} file */
      addReference: (id, file) =>
        tryTo(async () => {
          const { blob } = await sendable(file, store.state.config?.limits);
          const { image } = await api.upload(blob);
          setEdit(id, { references: [...edit(id).references, { name: file.name.replace(/\.[^.]+$/, ""), image }] });
        }),

      putMarkingDown: () => store.update({ marking: null }),
      applyEdit,
      chooseEdit,

      /** @param {Partial<Versus>} patch */
      setVersus: (patch) => store.update({ versus: { ...store.state.versus, ...patch } }),

      /** Replace the layer by the version. */
      acceptEdit: deciding((layer, index) => {
        setEdit(layer.id, { chosen: null, waiting: [], instruction: "", region: [], references: [], tries: [] });
        run(useVersion(layer, index), { editing: null, mode: "layers", notice: undoable(t("notice.replaced", { name: layer.name })) });
      }),

      /** Add the version as a layer above, at the same position. */
      addEdit: deciding((layer, index) => {
        const added = layerFrom(layer, index, newId());
        const left = edit(layer.id).waiting.filter((other) => other !== index);
        setEdit(layer.id, { chosen: left.at(-1) ?? null, waiting: left, instruction: "" });
        run(add(added, layer.id), {
          editing: null,
          selected: added.id,
          mode: "layers",
          notice: undoable(t("notice.added", { name: added.name })),
        });
      }),

      /** Discard the chosen version or try. @param {string} id */
      discardEdit: (id) => {
        const layer = findLayer(store.state.doc, id);
        if (layer === null) return;
        const { index, failed } = chosenOf(store.state, layer);
        const { tries, waiting } = edit(id);
        if (failed !== null) {
          setEdit(id, { chosen: null, tries: tries.filter((entry) => entry !== failed) });
          const back = () => {
            setEdit(id, { tries, chosen: failed.id });
            store.update({ notice: null });
          };
          return store.say(t("notice.removed"), { label: t("notice.undo"), run: back });
        }
        const left = waiting.filter((other) => other !== index);
        const notice = undoable(t("notice.discarded", { number: index + 1 }));
        if (run(discardVersion(layer, index), { notice })) setEdit(id, { waiting: left, chosen: left.at(-1) ?? null });
      },
    },
  };
}

/** @param {State} state @param {EditPurpose} purpose @param {Edit} draft */
function requestFor(state, { layerId, before, instruction, shape, seed, context }, draft) {
  const { edit: takes, references: most } = capabilitiesOf(state);
  const references = draft.references.slice(0, most).map(({ image }) => image);
  const more = { ...(references.length > 0 && { references }), ...(context && { context, surroundings: stackAround(state.doc, layerId) }) };
  const loras = loraField(state.config?.loras?.edit ?? [], draft.loras);
  return { image: before, instruction, shape, seed, ...more, ...engineField(state), ...used({ ...sampled(draft), ...loras }, takes) };
}

/** A seed that is easy to read and retype. */
const drawSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1e9;
