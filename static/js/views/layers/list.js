import { setAttribute, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { findLayer, isAsDecomposed, selectionOf } from "../../state/doc.js";
import { dropOf, groupAtHand, rowsOf } from "../../state/groups.js";
import { isDecomposing } from "../../state/initial.js";
import { contextMenu } from "../shell/menu.js";
import { createGroupPanel, createLayerPanel, selectionMenu } from "./panel.js";
import { createResults } from "./results.js";
import { createGroupRow, createLayerRow } from "./rows.js";

/**
 * The rows of the stack, top first, and the score of the decomposition.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @param {{list: HTMLElement, figure: HTMLElement, worth: HTMLElement}} places
 */
export function createLayerList(actions, bitmaps, { list, figure, worth }) {
  /** @type {State} */
  let state;
  const rows = keeping((id) => createLayerRow(id, actions, bitmaps));
  const groups = keeping((label) => createGroupRow(label, actions));
  const panel = createLayerPanel(actions, bitmaps, (id) => rows.get(id)?.rename());
  const groupPanel = createGroupPanel(actions, bitmaps, (label) => groups.get(label)?.rename());
  const results = createResults(actions);
  worth.replaceWith(results.element);
  /** @type {{row: Row, element: HTMLElement}[]} */
  let lines = [];
  let sought = "";

  listenToDrag(list, {
    carried,
    aim: (row, place, deeper) => spotFor(row, place, deeper)?.deeper ?? 0,
    drop: (row, place, deeper) => {
      const found = spotFor(row, place, deeper);
      if (found !== null) actions.place(found.parts, found.spot);
    },
  });

  contextMenu(list, (target) => {
    const part = lines.find(({ element }) => element.contains(target))?.row.part;
    if (part === undefined) return null;
    const [isGroup, row] = [part.kind === "group", part.kind === "group" ? groups.need(part.key) : rows.need(part.key)];
    const besides = !isGroup && groupAtHand(state) === null && selectionOf(state).some(({ id }) => id === part.key);
    const before = selectionOf(state);
    if (!besides) actions.selectPart(part);
    const now = besides ? state : { ...state, also: [], group: isGroup ? part.key : null, selected: isGroup ? state.selected : part.key };
    const layer = selectionOf(now).at(-1);
    return layer === undefined
      ? null
      : { anchor: row.anchor, ...selectionMenu(now, layer, actions, () => row.rename(), besides ? [] : before) };
  });

  const lineOf = (/** @type {HTMLElement} */ element) => lines.find((line) => line.element === element)?.row;

  /** The rows that move with one: a group's content, or all selected layers. @param {HTMLElement} element */
  function carried(element) {
    const row = lineOf(element);
    if (row?.part.kind !== "group") return together(row?.part.key ?? "").map((line) => line.element);
    const shown = lines.filter((line) => !line.row.hidden);
    const first = shown.findIndex((line) => line.element === element);
    const after = shown.slice(first + 1).findIndex((line) => line.row.depth <= row.depth);
    return shown.slice(first, after < 0 ? undefined : first + 1 + after).map((line) => line.element);
  }

  /** The rows of all layers selected together with one, or its own alone. @param {string} id */
  function together(id) {
    const chosen = groupAtHand(state) === null ? selectionOf(state).map((layer) => layer.id) : [];
    const ids = chosen.includes(id) ? chosen : [id];
    return lines.filter(({ row }) => !row.hidden && row.part.kind === "layer" && ids.includes(row.part.key));
  }

  /** The position of a dropped row and those that move with it, nested deeper by a number of groups. @param {HTMLElement} element @param {number} place @param {number} deeper */
  function spotFor(element, place, deeper) {
    const held = lineOf(element);
    if (held === undefined) return null;
    const along = carried(element);
    const parts = held.part.kind === "group" ? [held.part] : together(held.part.key).map(({ row }) => row.part);
    const others = lines.filter((line) => !line.row.hidden && !along.includes(line.element)).map(({ row }) => row);
    const { depth, ...spot } = dropOf(state.doc, parts, others, place, held.depth + deeper, state.folded);
    return { parts, spot, deeper: depth - held.depth };
  }

  function renderRows() {
    const { doc, folded, selected } = state;
    const hadFocus = list.contains(document.activeElement);
    lines = rowsOf(doc, folded).map((row) => ({ row, element: renderRow(row) }));
    arrange(
      list,
      lines.map(({ element }) => element),
    );
    const keysOf = (/** @type {Part["kind"]} */ kind) =>
      new Set(lines.filter(({ row }) => row.part.kind === kind).map(({ row }) => row.part.key));
    rows.keep(keysOf("layer"));
    groups.keep(keysOf("group"));
    const group = groupAtHand(state);
    const layer = group === null ? findLayer(doc, selected) : null;
    const own = layer !== null ? rows.need(layer.id) : group !== null ? groups.need(group.key) : null;
    for (const [each, shown] of /** @type {const} */ ([
      [panel.element, layer !== null],
      [groupPanel.element, group !== null],
    ])) {
      if (!shown) each.remove();
      else if (each.parentElement !== own?.element) own?.element.append(each);
    }
    if (layer !== null) panel.render(layer, state);
    if (group !== null) groupPanel.render(group, state);
    const chosen = group?.key ?? selected ?? "";
    if (chosen !== sought) own?.element.scrollIntoView({ block: "nearest" });
    sought = chosen;
    // After a layer is deleted, focus the one in its place.
    if (hadFocus && !list.contains(document.activeElement)) own?.focus();
  }

  /** @param {Row} row */
  function renderRow({ part, depth, layers, hidden }) {
    const { element } = part.kind === "group" ? renderGroup(part.key, layers.length) : renderLayer(layers[0]);
    element.hidden = hidden;
    element.classList.toggle("grouped", depth > 0);
    element.style.setProperty("--depth", `${depth}`);
    setAttribute(element, "aria-level", depth + 1);
    return element;
  }

  /** @param {Layer} layer */
  function renderLayer(layer) {
    const row = rows.need(layer.id);
    row.render(layer, state);
    return row;
  }

  /** @param {string} label @param {number} count */
  function renderGroup(label, count) {
    const row = groups.need(label);
    row.render(count, state);
    return row;
  }

  return {
    /** @param {Part} part */
    focus: ({ kind, key }) => (kind === "group" ? groups : rows).get(key)?.focus(),
    /** @param {Part} part */
    rename: ({ kind, key }) => (kind === "group" ? groups : rows).get(key)?.rename(),
    /** @param {State} next */
    render: (next) => {
      state = next;
      renderRows();
      const asMade = state.doc.layers.length > 0 && !isDecomposing(state) && isAsDecomposed(state.doc);
      renderFidelity(figure, asMade ? state.fidelity : null);
      results.render(state);
    },
  };
}

/** Rows by name, created on demand. @template T @param {(name: string) => T} make */
function keeping(make) {
  /** @type {Map<string, T>} */
  const kept = new Map();
  return {
    /** @param {string} name */
    get: (name) => kept.get(name),
    /** @param {string} name */
    need: (name) => kept.get(name) ?? /** @type {T} */ (kept.set(name, make(name)).get(name)),
    /** @param {Set<string>} names   all others can be removed */
    keep: (names) => {
      for (const name of kept.keys()) if (!names.has(name)) kept.delete(name);
    },
  };
}

/** Put rows in a new order; the one with the focus keeps it. @param {HTMLElement} list @param {HTMLElement[]} elements */
function arrange(list, elements) {
  if (elements.length === list.childElementCount && elements.every((element, index) => element === list.children[index])) return;
  const focused = document.activeElement;
  list.replaceChildren(...elements);
  if (focused instanceof HTMLElement && list.contains(focused)) focused.focus();
}

/** @param {HTMLElement} figure @param {Fidelity | null} fidelity */
function renderFidelity(figure, fidelity) {
  figure.hidden = fidelity === null;
  if (fidelity === null) return;
  const { max, psnr, resampled } = fidelity;
  const value = psnr.toFixed(1);
  setText(figure, max === 0 ? t("layers.exact") : t(resampled ? "layers.fidelityScaled" : "layers.fidelity", { value }));
  figure.title = t(resampled ? "layers.fidelityTitleScaled" : "layers.fidelityTitle", { max });
}

const ENDS = ["pointerup", "pointercancel", "lostpointercapture"];
/** Indentation of a row per group in pixels, as in the style sheet. */
const INDENT = 16;

/**
 * Reorder rows by dragging their grips, with a mouse, a pen or a finger; across, into groups and out of them. The rows only
 * look moved until the drop.
 *
 * @param {HTMLElement} list
 * @param {object} about
 * @param {(row: HTMLElement) => HTMLElement[]} about.carried   the row with those that move with it
 * @param {(row: HTMLElement, place: number, deeper: number) => number} about.aim   the possible nesting at a position among the other rows
 * @param {(row: HTMLElement, place: number, deeper: number) => void} about.drop
 */
function listenToDrag(list, { carried, aim, drop }) {
  list.addEventListener("pointerdown", (down) => {
    const grip = /** @type {Element} */ (down.target).closest("[data-grip]");
    const line = grip?.closest("li");
    if (!grip || !line || down.button !== 0) return;
    /** @type {HTMLElement} */
    const row = line;
    down.preventDefault();
    const rows = /** @type {HTMLElement[]} */ ([...list.children]).filter((other) => !other.hidden);
    const held = carried(row);
    const rest = rows.filter((other) => !held.includes(other));
    const from = rest.filter((other) => other.offsetTop < row.offsetTop).length;
    const gap = rows.length > 1 ? rows[1].offsetTop - rows[0].offsetTop - rows[0].offsetHeight : 0;
    const heightOf = (/** @type {HTMLElement[]} */ some) => some.reduce((sum, { offsetHeight }) => sum + offsetHeight + gap, 0);
    /** The space that dragged rows leave above a row. @param {HTMLElement} other */
    const freeAbove = (other) => heightOf(held.filter((each) => each.offsetTop < other.offsetTop));
    const middleOf = (/** @type {HTMLElement} */ other) => other.offsetTop + other.offsetHeight / 2;
    // Its line counts, not the panel below it. The other rows are positioned as if the gap were closed.
    const own = /** @type {HTMLElement} */ (row.firstElementChild).offsetHeight;
    const start = row.offsetTop + own / 2 - freeAbove(row);
    const middles = rest.map((other, index) => middleOf(other) - freeAbove(other) + (index < from ? 0 : own + gap));
    let [to, deeper] = [from, 0];
    let moved = false;
    grip.setPointerCapture(down.pointerId);
    for (const each of held) each.classList.add("dragged");

    /** @param {Event} event */
    function move(event) {
      const { clientX, clientY } = /** @type {PointerEvent} */ (event);
      const dy = clientY - down.clientY;
      moved = true;
      to = middles.filter((middle) => middle < start + dy).length;
      deeper = aim(row, to, Math.round((clientX - down.clientX) / INDENT));
      for (const each of held) each.style.transform = `translate(${deeper * INDENT}px, ${dy}px)`;
      for (const [index, other] of rest.entries()) {
        const aside = (index < to ? 0 : heightOf(held)) - freeAbove(other);
        other.style.transform = aside === 0 ? "" : `translateY(${aside}px)`;
      }
    }

    /** @param {Event} event */
    function end(event) {
      grip?.removeEventListener("pointermove", move);
      for (const name of ENDS) grip?.removeEventListener(name, end);
      for (const each of held) each.classList.remove("dragged");
      for (const other of rows) other.style.transform = "";
      if (event.type === "pointerup" && moved) drop(row, to, deeper);
    }

    grip.addEventListener("pointermove", move);
    for (const name of ENDS) grip.addEventListener(name, end);
  });
}
