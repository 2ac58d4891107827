import { many, t } from "../i18n.js";
import { flatten } from "../images/compositor.js";
import { coverageOf } from "../images/pixels.js";
import { harmonized, layersOf, mergeDown } from "../state/commands.js";
import { findLayer, groupOf, handMade, isWithin, labelOf, labelsOf, newId, newLayer, selectionOf, stackAround } from "../state/doc.js";
import {
  arrange,
  belowOf,
  duplicateGroup,
  groupAtHand,
  groupPart,
  labelAfter,
  labelOfCopy,
  labelOfNew,
  layerPart,
  makeGroup,
  membersOf,
  mergeGroup,
  removeGroup,
  renameGroup,
  rowsOf,
  setGroup,
  split,
  stepOf,
  ungroup,
} from "../state/groups.js";
import { atWork } from "../state/initial.js";
import { requestFor } from "./decompose.js";

/** The stack. @param {Context} context @param {Travel} history */
export function createLayers({ store, api, bitmaps, tryTo }, { run, undo }) {
  /** The layer to select after layers are removed: the one in their place. @param {readonly Layer[]} gone   in a row, bottom to top */
  function neighbor(gone) {
    const { layers } = store.state.doc;
    const index = layers.indexOf(gone[0]);
    return (layers[index - 1] ?? layers[index + gone.length])?.id ?? null;
  }

  /** @param {string} name */
  const deleted = (name) => ({ text: t("notice.deleted", { name }), action: { label: t("notice.undo"), run: undo } });

  /** Merge layers into one. @param {readonly Layer[]} layers   bottom to top @param {Pick<Layer, "name" | "group">} named @param {Doc["groups"]} groups   those that show in it @param {(merged: Layer) => Command} command */
  async function merge(layers, { name, group }, groups, command) {
    const { doc } = store.state;
    await tryTo(async () => {
      const picture = await flatten(layers, { ...doc, groups }, bitmaps);
      const [{ image }, coverage] = [await api.upload(await picture.toBlob()), coverageOf(picture.canvas)];
      const { width, height } = doc;
      const merged = newLayer({ id: newId(), name, group, image, width, height, coverage });
      run(command(merged), { selected: merged.id });
    });
  }

  /** The selected group or layer. */
  function partAtHand() {
    const layer = findLayer(store.state.doc, store.state.selected);
    return groupAtHand(store.state) ?? (layer === null ? null : layerPart(layer));
  }

  /** @param {Part} part @returns {ViewPatch} */
  function selecting(part) {
    const selected = membersOf(store.state.doc, part).at(-1)?.id ?? null;
    return { selected, group: part.kind === "group" ? part.key : null, also: [], notice: null };
  }

  /** Select a group created by a command. @param {string | null} label */
  const selectMade = (label) => label !== null && store.update(selecting(groupPart(label)));

  /** After a group is renamed, update the state that refers to its label. @param {string} label @param {string} next @returns {ViewPatch} */
  function following(label, next) {
    const { folded, group } = store.state;
    const moved = (/** @type {string} */ each) => (isWithin(each, label) ? next + each.slice(label.length) : each);
    return { folded: folded.map(moved), group: group === null ? null : moved(group) };
  }

  /** @param {readonly Part[]} parts   layers, or one group @param {import("../state/groups.js").Spot} spot */
  function place(parts, spot) {
    const { doc } = store.state;
    const [part] = parts;
    const patch = part.kind === "group" ? following(part.key, labelAfter(doc, part.key, spot.parent)) : {};
    const command = arrange(parts, spot);
    if (!run(command)) return;
    store.update({ ...patch, spoken: whereabouts(String(command.about.name), spot) });
  }

  /** @param {string} name @param {import("../state/groups.js").Spot} spot */
  function whereabouts(name, { index, parent }) {
    const count = store.state.doc.layers.length;
    const words = t("layers.moved", { name, place: count - index, count });
    return parent === "" ? words : t("layers.movedInto", { words, group: groupPart(parent).name });
  }

  return {
    /** @param {string | null} id */
    select: (id) => {
      const { selected, group, also, doc, folded } = store.state;
      if (selected === id && group === null && also.length === 0) return;
      const labels = labelsOf(findLayer(doc, id)?.group ?? "");
      store.update({ selected: id, group: null, also: [], folded: folded.filter((label) => !labels.includes(label)), notice: null });
    },

    /** @param {Part} part */
    selectPart: (part) => store.update(selecting(part)),

    /** Open the fields of a layer's position and size. @param {string} id */
    openPlace: (id) => {
      const labels = labelsOf(findLayer(store.state.doc, id)?.group ?? "");
      const folded = store.state.folded.filter((label) => !labels.includes(label));
      store.update({ editing: null, selected: id, placing: id, folded, notice: null });
    },
    placed: () => store.update({ placing: null }),

    /** Select the row that is `by` lines further up (positive) or down. @param {number} by */
    selectBy: (by) => {
      const { doc, folded } = store.state;
      const rows = rowsOf(doc, folded).filter(({ hidden }) => !hidden);
      const now = partAtHand();
      const next = rows[rows.findIndex(({ part }) => part.key === now?.key && part.kind === now.kind) - by]?.part;
      if (next !== undefined) store.update(selecting(next));
    },

    partAtHand,
    place,

    /** Move a part of the stack one step up (1) or down (-1), into groups and out of them. @param {Part} part @param {1 | -1} by */
    step: (part, by) => {
      const spot = stepOf(store.state.doc, part, by, store.state.folded);
      if (spot !== null) place([part], spot);
    },

    /** Group the selection. */
    group: () => {
      const group = groupAtHand(store.state);
      const parts = group === null ? selectionOf(store.state).map(layerPart) : [group];
      const [name, { doc }] = [t("layers.newGroup"), store.state];
      if (run(makeGroup(parts, name))) selectMade(labelOfNew(doc, parts, name));
    },

    /** Dissolve the selected group, or the selected layer's; its content stays. */
    ungroup: () => {
      const layer = findLayer(store.state.doc, store.state.selected);
      const label = groupAtHand(store.state)?.key ?? labelOf(layer ?? { group: "" });
      if (label !== "") run(ungroup(label), { group: null });
    },

    /** @param {string} label @param {string} name */
    renameGroup: (label, name) => {
      const { doc } = store.state;
      const patch = following(label, labelAfter(doc, label, labelsOf(label).at(-2) ?? "", name));
      if (run(renameGroup(label, name))) store.update(patch);
    },

    /** Hide a group, or show it. @param {string} label */
    toggleGroup: (label) => run(setGroup(label, { visible: !groupOf(store.state.doc, label).visible })),

    /** @param {string} label */
    duplicateGroup: (label) => {
      const { doc } = store.state;
      const group = labelOfCopy(doc, label);
      const ids = membersOf(doc, groupPart(label)).map(newId);
      if (run(duplicateGroup(label, ids))) selectMade(group);
    },

    /** @param {string} label */
    removeGroup: (label) => {
      const { doc, selected } = store.state;
      const [{ name }, members] = [groupPart(label), membersOf(doc, groupPart(label))];
      const stays = selected !== null && !members.some(({ id }) => id === selected);
      run(removeGroup(label), { selected: stays ? selected : neighbor(members), notice: deleted(name) });
    },

    /** Fold or unfold a group; folding moves a selection inside to the group. @param {string} label @param {boolean} folds */
    fold: (label, folds) => {
      const { folded, doc, selected } = store.state;
      const others = folded.filter((other) => other !== label);
      const hides = folds && membersOf(doc, groupPart(label)).some(({ id }) => id === selected);
      store.update({ folded: folds ? [...others, label] : others, ...(hides && selecting(groupPart(label))) });
    },

    /** Fit a layer to the picture around it. @param {Layer} layer @param {boolean} shadow   whether to add one */
    harmonize: (layer, shadow) =>
      tryTo(async () => {
        const { doc } = store.state;
        const name = t("layers.shadowOf", { name: layer.name });
        const { image, coverage, strength, shadow: made } = await api.harmonize({ ...stackAround(doc, layer.id), shadow, name });
        if (store.state.doc.layers !== doc.layers) return store.say(t("layers.outdated"));
        await Promise.all([image, made?.image ?? image].map(bitmaps.load));
        const version = strength > 0 ? Math.max(0, store.addVersion(layer.id, handMade(image, coverage))) : layer.current;
        if (strength === 0) store.say(t("layers.fits"));
        run(harmonized(layer, version, made && shadowOf(made, layer)));
      }),

    /** Merge a layer with the one below it. @param {Layer} upper */
    mergeDown: async (upper) => {
      const lower = belowOf(store.state.doc, upper);
      if (lower !== null) await merge([lower, upper], lower, {}, (merged) => mergeDown(upper, merged));
    },

    /** Merge a group into one layer with the group's appearance. @param {string} label */
    mergeGroup: async (label) => {
      const { doc } = store.state;
      const inside = Object.entries(doc.groups).filter(([each]) => each !== label && isWithin(each, label));
      const named = { name: groupPart(label).name, group: labelsOf(label).at(-2) ?? "" };
      await merge(membersOf(doc, groupPart(label)), named, { ...Object.fromEntries(inside) }, (merged) => mergeGroup(label, merged));
    },
  };
}

/** Splits one layer into a group in its place. @param {Context} context @param {Jobs} jobs */
export function createSplit({ store, api, tryTo }, jobs) {
  /** @param {Layer} layer */
  async function splitLayer(layer) {
    if (atWork(store.state, "split", layer.id).length > 0) return;
    store.update({ notice: null });
    const settings = /** @type {Partial<Settings>} */ ({ ...store.state.settings, seed: null, size: "original" });
    await tryTo(async () =>
      jobs.track(await api.decompose(requestFor({ ...store.state, settings }, layer)), { kind: "split", layerId: layer.id }),
    );
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

/** A part that covers less is a remnant, not an object. */
const REMNANT = 0.0005;

/**
 * The parts of a split layer, each at its position in the layer. The remainder at the bottom keeps the layer's
 * name.
 * @param {Layer} layer
 * @param {Job} job
 */
function partsOf(layer, { id, result }) {
  const { x, y, stretch, rotation, flipX, flipY, opacity, visible, blend } = layer;
  const found = layersOf(/** @type {Wire.DecomposeResponse} */ (result), id).filter((part) => part.coverage > REMNANT);
  const named = found.map((part, index) => (index === 0 ? { ...part, name: layer.name } : part));
  const place = { x, y, stretch, rotation, flipX, flipY, opacity, visible, blend };
  return named.map((part) => ({ ...part, ...place, scale: (layer.scale * layer.width) / part.width }));
}

/** @param {Wire.ImportedLayer} made @param {Layer} layer   whose shadow it is */
function shadowOf({ name, image, width, height, coverage, x, y, opacity, blend }, { group }) {
  return newLayer({ id: newId(), name, image, width, height, coverage, x, y, opacity, blend, group });
}
