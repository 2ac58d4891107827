import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { drawCrop } from "../../images/pixels.js";
import { findLayer, isAsDecomposed, runsOf } from "../../state/doc.js";
import { atWork, isDecomposing, settingsOf } from "../../state/initial.js";
import { filePicker } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";
import { createLayerPanel } from "./panel.js";
import { createGroupRow, createLayerRow } from "./rows.js";
import { scoreWords } from "./score.js";

/** The stack, top first, and what can be taken home of it. @param {Actions} actions @param {Bitmaps} bitmaps */
export function createLayerList(actions, bitmaps) {
  /** @type {State} */
  let state;
  const rows = keeping((id) => createLayerRow(id, actions, bitmaps));
  const groups = keeping((name) => createGroupRow(name, actions));
  const panel = createLayerPanel(actions, (id) => rows.get(id)?.rename());
  const figure = h("span.hint.number.fidelity");
  const worth = h("p.hint.score", { hidden: true });
  const list = h("ol.layer-list");
  const empty = h("p.layers-empty.hint");
  const ghosts = createGhosts(bitmaps);
  const exports = createExportBar(actions);
  const head = h("div.panel-head", h("h2.heading", t("layers.title")), figure);
  const element = h(
    "section.panel.layers",
    { "aria-label": t("layers.region") },
    head,
    worth,
    list,
    ghosts.element,
    empty,
    exports.element,
  );

  listenToDrag(list, (id, over, under) => {
    const layer = findLayer(state.doc, id);
    if (layer === null) return;
    const rest = state.doc.layers.filter((other) => other !== layer);
    const below = under?.dataset.id ?? under?.dataset.top;
    const group = over?.dataset.group !== undefined && !over.classList.contains("folded") ? over.dataset.group : undefined;
    actions.reorder(layer, rest.findIndex((other) => other.id === below) + 1, group);
  });

  function renderRows() {
    const { doc, folded, selected } = state;
    const hadFocus = list.contains(document.activeElement);
    const elements = runsOf(doc.layers).map(({ name, layers }) => {
      const closed = name !== "" && folded.includes(name);
      const inside = layers.map((layer) => renderRow(layer, closed)).reverse();
      return name === "" ? inside : [renderGroup(name, layers, closed), ...inside];
    });
    arrange(list, elements.reverse().flat());
    rows.keep(new Set(doc.layers.map(({ id }) => id)));
    groups.keep(new Set(doc.layers.map(({ group }) => group)));
    const layer = findLayer(doc, selected);
    if (layer === null) return panel.element.remove();
    const row = rows.need(layer.id).element;
    if (panel.element.parentElement !== row) row.append(panel.element);
    panel.render(layer, state);
    // After a layer is deleted, work goes on with the one that takes its place.
    if (hadFocus && !list.contains(document.activeElement)) rows.get(layer.id)?.focus();
  }

  /** @param {Layer} layer @param {boolean} hidden */
  function renderRow(layer, hidden) {
    const row = rows.need(layer.id);
    row.render(layer, state);
    row.element.hidden = hidden;
    return row.element;
  }

  /** @param {string} name @param {Layer[]} layers @param {boolean} folded */
  function renderGroup(name, layers, folded) {
    const row = groups.need(name);
    row.render(layers, folded);
    return row.element;
  }

  return {
    element,
    /** @param {string} id */
    focus: (id) => rows.get(id)?.focus(),
    /** @param {string} id */
    rename: (id) => rows.get(id)?.rename(),
    /** @param {State} next */
    render: (next) => {
      state = next;
      const { layers } = state.doc;
      const busy = isDecomposing(state);
      renderRows();
      list.hidden = busy || layers.length === 0;
      ghosts.render(state, busy);
      ghosts.element.hidden = !list.hidden;
      empty.hidden = !list.hidden;
      setText(empty, t(busy ? "layers.working" : state.doc.picture ? "layers.ready" : "layers.empty"));
      const asMade = layers.length > 0 && !busy && isAsDecomposed(state.doc);
      renderFidelity(figure, asMade ? state.fidelity : null);
      worth.hidden = !asMade || state.doc.score === null;
      if (state.doc.score !== null) setText(worth, scoreWords(state.doc.score));
      exports.render(state);
    },
  };
}

/** Rows by name, made when they are first needed. @template T @param {(name: string) => T} make */
function keeping(make) {
  /** @type {Map<string, T>} */
  const kept = new Map();
  return {
    /** @param {string} name */
    get: (name) => kept.get(name),
    /** @param {string} name */
    need: (name) => kept.get(name) ?? /** @type {T} */ (kept.set(name, make(name)).get(name)),
    /** @param {Set<string>} names   all others can go */
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

/** Where layers will be: as many as are asked for, with pictures of them as far as the engine shows what it makes. @param {Bitmaps} bitmaps */
function createGhosts(bitmaps) {
  const element = h("div.ghosts", { "aria-hidden": "true" });
  let shown = "";

  /** A picture takes the place of the last one when it is there, so that nothing flickers. @param {Record<number, string>} previews   by layer, 1 at the bottom */
  function draw(previews) {
    for (const [index, ghost] of [...element.children].reverse().entries()) {
      const [url, canvas] = [previews[index + 1], ghost.querySelector("canvas")];
      if (url === undefined || canvas === null) continue;
      ghost.classList.add("seen");
      bitmaps.load(url).then(
        (bitmap) => drawCrop(canvas, bitmap, { x: 0, y: 0, width: bitmap.width, height: bitmap.height }),
        () => {},
      );
    }
  }

  return {
    element,
    /** @param {State} state @param {boolean} busy */
    render: (state, busy) => {
      const { layerNum } = settingsOf(state);
      const { previews = {} } = atWork(state, "decompose")[0] ?? {};
      const next = JSON.stringify([layerNum, previews]);
      element.classList.toggle("working", busy);
      if (next === shown) return;
      shown = next;
      if (element.children.length !== layerNum || Object.keys(previews).length === 0) {
        element.replaceChildren(...Array.from({ length: layerNum }, () => h("div.ghost", h("canvas.ghost-picture"))));
      }
      draw(previews);
    },
  };
}

/** Another picture in, the whole stack out. @param {Actions} actions @returns {View} */
function createExportBar(actions) {
  /** @type {Config["limits"] | undefined} */
  let limits;
  const words = h("span");
  const button = menuButton(h("button.button", icon("download"), words), () => ({
    label: t("layers.export"),
    entries: [
      ...(limits?.export_formats ?? []).map((format) => ({
        label: t(`export.${format}`),
        about: t(`export.${format}.about`),
        icon: limits?.image_formats.includes(format) ? /** @type {const} */ ("picture") : /** @type {const} */ ("logo"),
        run: () => actions.exportStack(format),
      })),
      "",
      { label: t("export.copy"), about: t("export.copy.about"), icon: /** @type {const} */ ("copy"), run: actions.copyPicture },
    ],
  }));
  const add = filePicker({ label: t("layers.add"), title: t("layers.addTitle"), look: "", icon: "plus", onfiles: actions.addPictures });
  const element = h("div.export-bar", add, button);
  return {
    element,
    render: (state) => {
      limits = state.config?.limits;
      // A second export waits for the first; a button that goes dead would lose the focus.
      button.disabled = isDecomposing(state);
      element.hidden = state.doc.layers.length === 0;
      setText(words, t(state.exporting === null ? "layers.export" : "layers.preparing"));
    },
  };
}

const ENDS = ["pointerup", "pointercancel", "lostpointercapture"];

/**
 * Reorder rows by dragging their grips, with a mouse, a pen or a finger. The rows only look moved until the drop.
 *
 * @param {HTMLElement} list
 * @param {(id: string, over: HTMLElement | null, under: HTMLElement | null) => void} ondrop   below and above which rows it lies then
 */
function listenToDrag(list, ondrop) {
  list.addEventListener("pointerdown", (down) => {
    const grip = /** @type {Element} */ (down.target).closest("[data-grip]");
    const row = /** @type {HTMLElement | null} */ (grip?.closest("li") ?? null);
    if (grip === null || row === null || down.button !== 0) return;
    down.preventDefault();
    const rows = /** @type {HTMLElement[]} */ ([...list.children]).filter((other) => !other.hidden);
    const from = rows.indexOf(row);
    const middles = rows.map((other) => other.offsetTop + other.offsetHeight / 2);
    const gap = rows.length > 1 ? rows[1].offsetTop - rows[0].offsetTop - rows[0].offsetHeight : 0;
    const distance = row.offsetHeight + gap;
    let to = from;
    grip.setPointerCapture(down.pointerId);
    row.classList.add("dragged");

    /** @param {Event} event */
    function move(event) {
      const dy = /** @type {PointerEvent} */ (event).clientY - down.clientY;
      const middle = middles[from] + dy;
      to = rows.filter((_, index) => index !== from && middles[index] < middle).length;
      rows.forEach((other, index) => {
        const up = index > from && index <= to;
        const aside = index < from && index >= to;
        other.style.transform =
          other === row ? `translateY(${dy}px)` : up ? `translateY(${-distance}px)` : aside ? `translateY(${distance}px)` : "";
      });
    }

    /** @param {Event} event */
    function end(event) {
      grip?.removeEventListener("pointermove", move);
      for (const name of ENDS) grip?.removeEventListener(name, end);
      row?.classList.remove("dragged");
      for (const other of rows) other.style.transform = "";
      if (event.type !== "pointerup" || to === from) return;
      const rest = rows.filter((other) => other !== row);
      ondrop(row?.dataset.id ?? "", rest[to - 1] ?? null, rest[to] ?? null);
    }

    grip.addEventListener("pointermove", move);
    for (const name of ENDS) grip.addEventListener(name, end);
  });
}
