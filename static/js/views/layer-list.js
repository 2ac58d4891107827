// @ts-check
import { h, setText } from "../dom.js";
import { isDecomposing } from "../actions/decompose.js";
import { icon } from "../icons.js";
import { isAsDecomposed } from "../state/project.js";
import { strings } from "../strings.js";
import { listenToDrag } from "./layer-drag.js";
import { createLayerRow } from "./layer-row.js";

const text = strings.layers;

/**
 * The stack, top first, and what can be taken home of it.
 *
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createLayerList(actions, bitmaps) {
  /** @type {Map<string, ReturnType<typeof createLayerRow>>} */
  const rows = new Map();
  const figure = h("span", { class: "hint number fidelity" });
  const list = h("ol", { class: "layer-list" });
  const empty = h("p", { class: "layers-empty hint" });
  const ghosts = h("div", { class: "ghosts", "aria-hidden": "true" });
  const exports = createExportBar(actions);
  const element = h(
    "section",
    { class: "panel layers", "aria-label": text.region },
    h("div", { class: "panel-head" }, h("h2", { class: "heading" }, text.title), figure),
    list,
    ghosts,
    empty,
    exports.element,
  );
  let order = "";

  listenToDrag(list, (id, index) => actions.moveTo(id, list.children.length - 1 - index));

  /** @param {import("../types.js").State} state */
  function renderRows(state) {
    const { layers } = state.project;
    for (const id of [...rows.keys()]) if (!layers.some((layer) => layer.id === id)) rows.delete(id);
    const elements = layers.map((layer, index) => {
      const row = rows.get(layer.id) ?? createLayerRow(layer.id, actions, bitmaps);
      rows.set(layer.id, row);
      row.render(layer, state, index);
      return row.element;
    });
    const next = layers.map((layer) => layer.id).join(" ");
    if (next !== order) arrange(list, elements.reverse());
    order = next;
  }

  return {
    element,
    /** @param {string} id */
    focus: (id) => rows.get(id)?.focus(),
    /** @param {string} id */
    rename: (id) => rows.get(id)?.rename(),
    /** @param {import("../types.js").State} state */
    render: (state) => {
      const { layers } = state.project;
      const busy = isDecomposing(state);
      renderRows(state);
      list.hidden = busy || layers.length === 0;
      ghosts.hidden = !list.hidden;
      ghosts.classList.toggle("working", busy);
      if (ghosts.childElementCount !== state.settings.layerNum) {
        ghosts.replaceChildren(...Array.from({ length: state.settings.layerNum }, () => h("div", { class: "ghost" })));
      }
      empty.hidden = !list.hidden;
      setText(empty, busy ? text.working : state.project.picture ? text.ready : text.empty);
      renderFidelity(figure, layers.length > 0 && !busy && isAsDecomposed(state.project) ? state.fidelity : null);
      exports.render(state);
    },
  };
}

/** Put rows in a new order; the one with the focus keeps it. @param {HTMLElement} list @param {HTMLElement[]} elements */
function arrange(list, elements) {
  const focused = document.activeElement;
  list.replaceChildren(...elements);
  if (focused instanceof HTMLElement && list.contains(focused)) focused.focus();
}

/** @param {HTMLElement} figure @param {import("../types.js").Fidelity | null} fidelity */
function renderFidelity(figure, fidelity) {
  figure.hidden = fidelity === null;
  if (fidelity === null) return;
  setText(figure, fidelity.max === 0 ? text.exact : text.fidelity(fidelity.psnr, fidelity.resampled));
  figure.title = text.fidelityTitle(fidelity.max, fidelity.resampled);
}

/** @param {import("../types.js").Actions} actions @returns {import("../types.js").View} */
function createExportBar(actions) {
  const zipText = h("span");
  const zip = h("button", { class: "button", type: "button", onclick: () => actions.exportStack("zip") }, icon("download"), zipText);
  const png = h(
    "button",
    { class: "button", type: "button", title: text.downloadPngTitle, "aria-label": text.downloadPngTitle, onclick: () => actions.exportStack("png") },
    text.downloadPng,
  );
  return {
    element: h("div", { class: "export-bar" }, zip, png),
    render: (state) => {
      zip.disabled = png.disabled = state.exporting !== null || state.project.layers.length === 0 || isDecomposing(state);
      setText(zipText, state.exporting === "zip" ? text.preparing : text.downloadZip);
    },
  };
}
