import { command, namesOf } from "./commands.js";
import { groupOf, indexOf, insertLayers, isWithin, labelOf, labelsOf, numbered, removeLayers, SEPARATOR, withLayers } from "./doc.js";

/**
 * The stack as a tree of groups, and its commands. Sibling groups have different names, so
 * that they never merge when they become adjacent.
 */

/** @param {Layer} layer @returns {Part} */
export const layerPart = ({ id, name }) => ({ kind: "layer", key: id, name });

/** @param {string} label @returns {Part} */
export const groupPart = (label) => ({ kind: "group", key: label, name: label.split(SEPARATOR).at(-1) ?? label });

/** The group around a group. @param {string} label */
const around = (label) => labelsOf(label).at(-2) ?? "";

/** @param {Part} part @param {Layer} layer */
const holds = ({ kind, key }, layer) => (kind === "layer" ? layer.id === key : isWithin(labelOf(layer), key));

/** The layers of a group, or the one, bottom to top. @param {Doc} doc @param {Part} part */
export const membersOf = (doc, part) => doc.layers.filter((layer) => holds(part, layer));

/** The label of the group that a part is in, "" for none. @param {Doc} doc @param {Part} part */
const parentOf = (doc, part) => (part.kind === "group" ? around(part.key) : labelOf(membersOf(doc, part)[0]));

/** The rows of the list, top first: each group, then its content. @param {Pick<Doc, "layers">} doc @param {readonly string[]} [folded]   groups whose content is hidden @returns {Row[]} */
export function rowsOf({ layers }, folded = []) {
  /** @type {Row[]} */
  const rows = [];
  /** @type {Row[]} the groups around the current layer */
  let open = [];
  for (const layer of [...layers].reverse()) {
    const labels = labelsOf(layer.group);
    const shared = labels.findIndex((label, depth) => open[depth]?.part.key !== label);
    open = open.slice(0, shared < 0 ? labels.length : shared);
    for (const [depth, label] of labels.entries()) {
      if (depth >= open.length) open.push({ part: groupPart(label), depth, layers: [], hidden: isHidden(labels.slice(0, depth), folded) });
      if (open[depth].layers.length === 0) rows.push(open[depth]);
      open[depth].layers.push(layer);
    }
    rows.push({ part: layerPart(layer), depth: labels.length, layers: [layer], hidden: isHidden(labels, folded) });
  }
  return rows;
}

/** @param {readonly string[]} labels @param {readonly string[]} folded */
const isHidden = (labels, folded) => labels.some((label) => folded.includes(label));

/** The layer directly below another one, in the same group. @param {Doc} doc @param {Layer} layer */
export function belowOf(doc, layer) {
  const below = doc.layers[indexOf(doc, layer.id) - 1];
  return below !== undefined && labelOf(below) === labelOf(layer) ? below : null;
}

/** The selected group. @param {Pick<State, "doc" | "group">} state */
export function groupAtHand({ doc, group }) {
  const part = group === null ? null : groupPart(group);
  return part !== null && membersOf(doc, part).length > 0 ? part : null;
}

/**
 * A position in the stack: above a number of the other layers, in a group.
 *
 * @typedef {{index: number, parent: string}} Spot
 */

/**
 * A part's position one step further up or down: past a layer or a folded group, into an open one, or out of its own.
 *
 * @param {Doc} doc
 * @param {Part} part
 * @param {1 | -1} by   1 is up
 * @param {readonly string[]} folded
 * @returns {Spot | null}   null at an end of the stack
 */
export function stepOf(doc, part, by, folded) {
  const rest = doc.layers.filter((layer) => !holds(part, layer));
  const index = doc.layers.findIndex((layer) => holds(part, layer));
  const parent = parentOf(doc, part);
  const next = rest[by > 0 ? index : index - 1];
  if (next === undefined || !isWithin(labelOf(next), parent)) return parent === "" ? null : { index, parent: around(parent) };
  const group = labelsOf(next.group)[labelsOf(parent).length];
  if (group === undefined) return { index: index + by, parent };
  if (!folded.includes(group)) return { index, parent: group };
  return { index: index + by * rest.filter((layer) => isWithin(labelOf(layer), group)).length, parent };
}

/**
 * The position of parts that are dropped in the list, nested by the pointer's position.
 *
 * @param {Doc} doc
 * @param {readonly Part[]} parts
 * @param {readonly Row[]} rows   the visible ones without the parts' own, top first
 * @param {number} place   how many of them lie above it
 * @param {number} depth   the requested nesting
 * @param {readonly string[]} folded
 * @returns {Spot & {depth: number}}
 */
export function dropOf(doc, parts, rows, place, depth, folded) {
  const [over, under] = [rows[place - 1], rows[place]];
  const isOpen = over?.part.kind === "group" && !folded.includes(over.part.key);
  const labels = over === undefined ? [] : labelsOf(isOpen ? over.part.key : parentOf(doc, over.part));
  const within = Math.min(labels.length, Math.max(under?.depth ?? 0, depth));
  const stays = (/** @type {Layer} */ layer) => !parts.some((part) => holds(part, layer));
  const rest = doc.layers.filter(stays);
  const below = rows
    .slice(place)
    .flatMap(({ layers }) => layers)
    .find(stays);
  return { index: below === undefined ? 0 : rest.indexOf(below) + 1, parent: labels[within - 1] ?? "", depth: within };
}

/** The longest label that the server stores. */
const MAX_LABEL = 200;

/** @param {Doc} doc */
const labelsIn = (doc) => new Set(doc.layers.flatMap(({ group }) => labelsOf(group)));

/** The label of a group that is moved into another one. @param {ReadonlySet<string>} taken @param {string} parent @param {string} name */
function freeLabel(taken, parent, name) {
  const stem = parent === "" ? "" : parent + SEPARATOR;
  // Remove separators from the name, and leave room for a number.
  const plain = name
    .replaceAll(SEPARATOR, "/")
    .trim()
    .slice(0, Math.max(1, MAX_LABEL - stem.length - 4));
  return numbered(stem + plain, (label) => taken.has(label));
}

/** A group's label after a command, for the selection and folding. @param {Doc} doc @param {string} label @param {string} parent @param {string} [name] */
export const labelAfter = (doc, label, parent, name = groupPart(label).name) =>
  freeLabel(new Set([...labelsIn(doc)].filter((each) => !isWithin(each, label))), parent, name);

/**
 * Move parts into a group, at the same position in the stack: updates the labels of their layers and groups.
 *
 * @param {Doc} doc
 * @param {readonly Part[]} parts
 * @param {string} parent
 * @param {string | null} [gone]   a group that will not exist
 * @returns {Doc | null}   null if a label would be too long
 */
function putInto(doc, parts, parent, gone = null) {
  const groups = parts.filter(({ kind }) => kind === "group");
  const taken = new Set([...labelsIn(doc)].filter((label) => label !== gone && !groups.some(({ key }) => isWithin(label, key))));
  /** @type {Map<string, string>} */
  const labels = new Map();
  for (const { key, name } of groups) {
    const label = freeLabel(taken, parent, name);
    labels.set(key, label);
    taken.add(label);
  }
  /** @param {string} label */
  const moved = (label) => {
    const key = groups.find((group) => isWithin(label, group.key))?.key;
    return key === undefined ? undefined : labels.get(key) + label.slice(key.length);
  };
  const layers = doc.layers.map((layer) => {
    const group = moved(labelOf(layer)) ?? (parts.some((part) => holds(part, layer)) ? parent : layer.group);
    return group === layer.group ? layer : { ...layer, group };
  });
  if (layers.some(({ group }, place) => group.length > MAX_LABEL && group !== doc.layers[place].group)) return null;
  if (layers.every((layer, place) => layer === doc.layers[place])) return doc;
  const said = Object.entries(doc.groups).map(([label, group]) => /** @type {const} */ ([moved(label) ?? label, group]));
  return withLayers({ ...doc, groups: Object.fromEntries(said) }, layers);
}

/** Move layers to a position in the stack, above a number of the others. @param {Doc} doc @param {ReadonlySet<string>} ids @param {number} index */
function gathered(doc, ids, index) {
  const [moved, rest] = [doc.layers.filter(({ id }) => ids.has(id)), doc.layers.filter(({ id }) => !ids.has(id))];
  return withLayers(doc, [...rest.slice(0, index), ...moved, ...rest.slice(index)]);
}

/** @param {readonly Part[]} parts   of which none is in another @param {Spot} spot */
export const arrange = (parts, { index, parent }) =>
  command("command.move", namesOf(parts), (doc) => {
    const ids = new Set(parts.flatMap((part) => membersOf(doc, part)).map(({ id }) => id));
    const next = ids.size === 0 ? null : putInto(doc, parts, parent);
    if (next === null) return doc;
    const placed = gathered(next, ids, index);
    return placed.layers.every((layer, place) => layer === doc.layers[place]) ? doc : placed;
  });

/** The label of a new group of these parts. @param {Doc} doc @param {readonly Part[]} parts @param {string} name */
export function labelOfNew(doc, parts, name) {
  const top = doc.layers.findLast((layer) => parts.some((part) => holds(part, layer)));
  if (top === undefined) return null;
  const outer = parts.find((part) => part.kind === "group" && holds(part, top)) ?? layerPart(top);
  return freeLabel(labelsIn(doc), parentOf(doc, outer), name);
}

/** Group parts at the position of the topmost. @param {readonly Part[]} parts @param {string} name */
export const makeGroup = (parts, name) =>
  command("command.group", {}, (doc) => {
    const label = labelOfNew(doc, parts, name);
    const next = label === null ? null : putInto(doc, parts, label);
    if (next === null) return doc;
    const isMember = (/** @type {Layer} */ layer) => parts.some((part) => holds(part, layer));
    const top = doc.layers.findLastIndex(isMember);
    const ids = new Set(doc.layers.filter(isMember).map(({ id }) => id));
    return gathered(next, ids, top + 1 - ids.size);
  });

/** Dissolve a group; its content moves to the group around it. @param {string} label */
export const ungroup = (label) =>
  command("command.ungroup", { name: groupPart(label).name }, (doc) => {
    const inside = rowsOf({ layers: membersOf(doc, groupPart(label)) }).filter(({ depth }) => depth === labelsOf(label).length);
    return (
      putInto(
        doc,
        inside.map(({ part }) => part),
        around(label),
        label,
      ) ?? doc
    );
  });

/** @param {string} label @param {string} name */
export const renameGroup = (label, name) =>
  command("command.rename", { name: groupPart(label).name }, (doc) =>
    name.trim() === "" ? doc : (putInto(doc, [{ ...groupPart(label), name }], around(label)) ?? doc),
  );

/** Duplicate a group, directly above. @param {string} label @param {readonly string[]} ids   of its layers, bottom to top */
export const duplicateGroup = (label, ids) =>
  command("command.duplicate", { name: groupPart(label).name }, (doc) => {
    const members = membersOf(doc, groupPart(label));
    const copy = labelOfCopy(doc, label);
    const moved = (/** @type {string} */ each) => copy + each.slice(label.length);
    const copies = members.map((layer, place) => ({ ...layer, id: ids[place], group: moved(labelOf(layer)) }));
    if (members.length === 0 || copies.some(({ group }) => group.length > MAX_LABEL)) return doc;
    const said = Object.entries(doc.groups).filter(([each]) => isWithin(each, label));
    const groups = { ...doc.groups, ...Object.fromEntries(said.map(([each, group]) => [moved(each), group])) };
    return insertLayers({ ...doc, groups }, indexOf(doc, members[members.length - 1].id) + 1, copies);
  });

/** @param {Doc} doc @param {string} label */
export const labelOfCopy = (doc, label) => freeLabel(labelsIn(doc), around(label), groupPart(label).name);

/** @param {string} label */
export const removeGroup = (label) =>
  command("command.delete", { name: groupPart(label).name }, (doc) =>
    membersOf(doc, groupPart(label)).length === 0 ? doc : removeLayers(doc, (layer) => holds(groupPart(label), layer)),
  );

/** Replace a group by one layer with its appearance. @param {string} label @param {Layer} merged */
export const mergeGroup = (label, merged) =>
  command("command.mergeGroup", { name: merged.name }, (doc) => {
    const members = membersOf(doc, groupPart(label));
    if (members.length === 0) return doc;
    const { opacity, visible, blend } = groupOf(doc, label);
    const layer = { ...merged, opacity, visible, blend: blend === "pass-through" ? "normal" : blend, group: around(label) };
    const index = indexOf(doc, members[0].id);
    return insertLayers(
      removeLayers(doc, (each) => holds(groupPart(label), each)),
      index,
      [layer],
    );
  });

/** Set a group's appearance. @param {string} label @param {Partial<Group>} patch */
export const setGroup = (label, patch) => {
  const { opacity, visible } = patch;
  const title =
    visible !== undefined ? (visible ? "command.show" : "command.hide") : opacity !== undefined ? "command.opacity" : "command.blend";
  return command(
    title,
    { name: groupPart(label).name },
    (doc) => {
      const before = groupOf(doc, label);
      const keys = /** @type {(keyof Group)[]} */ (Object.keys(patch));
      if (membersOf(doc, groupPart(label)).length === 0 || keys.every((key) => before[key] === patch[key])) return doc;
      return { ...doc, groups: { ...doc.groups, [label]: { ...before, ...patch } } };
    },
    visible === undefined ? `${title} ${label}` : null,
  );
};

/** Replace a layer by its parts, as a group with its name. @param {Layer} layer @param {readonly Layer[]} parts   bottom to top */
export const split = (layer, parts) =>
  command("command.split", { name: layer.name }, (doc) => {
    const index = indexOf(doc, layer.id);
    if (index < 0) return doc;
    const label = labelOfSplit(doc, layer);
    return insertLayers(
      doc,
      index,
      parts.map((part) => ({ ...part, group: label })),
      1,
    );
  });

/** @param {Doc} doc @param {Layer} layer */
const labelOfSplit = (doc, layer) => freeLabel(labelsIn(doc), labelOf(layer), layer.name);
