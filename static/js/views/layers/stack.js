import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { drawCrop } from "../../images/pixels.js";
import { atWork, isDecomposing, mostLayers } from "../../state/initial.js";
import { onDemand } from "../../transport/api.js";
import { iconButton } from "../shell/fields.js";
import { filePicker } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";

/** @typedef {ReturnType<typeof import("./list.js").createLayerList>} List */

/**
 * The stack and its export. Its rows are loaded when there are layers, or are about to be.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @param {(places: {list: HTMLElement, figure: HTMLElement, worth: HTMLElement}) => Promise<List>} bringList
 */
export function createStack(actions, bitmaps, bringList) {
  /** @type {State} */
  let state;
  /** @type {List | null} */
  let lines = null;
  const figure = h("span.hint.number.fidelity", { hidden: true });
  const worth = h("div", { hidden: true });
  const list = h("ol.layer-list");
  const empty = h("p.layers-empty.hint");
  const ghosts = createGhosts(bitmaps);
  const exports = createExportBar(actions);
  const history = iconButton("history", t("history.open"), () => actions.walk(true));
  const head = h("div.panel-head", h("h2.heading", t("layers.title")), figure, history);
  const parts = [head, worth, list, ghosts.element, empty, exports.element];
  const element = h("section.panel.layers", { "aria-label": t("layers.region") }, ...parts);

  const bring = onDemand(async () => {
    lines = await bringList({ list, figure, worth });
    lines.render(state);
    exports.render(state, true);
  });

  return {
    element,
    isHere: () => lines !== null,
    /** @param {Part} part */
    focus: (part) => lines?.focus(part),
    /** @param {Part} part */
    rename: (part) => lines?.rename(part),
    /** @param {State} next */
    render: (next) => {
      state = next;
      const comesBack = element.hidden && !state.walking;
      element.hidden = state.walking;
      // The back button disappears with its panel.
      if (comesBack && document.activeElement?.closest(".history")) history.focus();
      const { layers, picture } = state.doc;
      const busy = isDecomposing(state);
      lines?.render(state);
      if (lines === null && (busy || layers.length > 0)) bring().catch(() => {});
      const arrive = list.hidden && !busy && layers.length > 0;
      list.hidden = busy || layers.length === 0;
      // In a single column, scroll to the requested panel.
      if (arrive) element.scrollIntoView({ block: "nearest" });
      ghosts.render(state, busy);
      ghosts.element.hidden = !list.hidden;
      empty.hidden = !list.hidden;
      setText(empty, t(busy ? "layers.working" : picture ? "layers.ready" : "layers.empty"));
      exports.render(state, lines !== null);
    },
  };
}

/** Placeholders for the requested layers, with the engine's previews if it has any. @param {Bitmaps} bitmaps */
function createGhosts(bitmaps) {
  const element = h("div.ghosts", { "aria-hidden": "true" });
  let shown = "";

  /** A picture replaces the last one after it is loaded, so that nothing flickers. @param {Record<number, string>} previews   by layer, 1 at the bottom */
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
      const layers = mostLayers(state);
      const { previews = {} } = atWork(state, "decompose")[0] ?? {};
      const next = JSON.stringify([layers, previews]);
      element.classList.toggle("working", busy);
      if (next === shown) return;
      shown = next;
      if (element.children.length !== layers || Object.keys(previews).length === 0) {
        element.replaceChildren(...Array.from({ length: layers }, () => h("div.ghost", h("canvas.ghost-picture"))));
      }
      draw(previews);
    },
  };
}

/** Import of a picture, export of the stack. @param {Actions} actions */
function createExportBar(actions) {
  /** @type {Config["limits"] | undefined} */
  let limits;
  const words = h("span");
  const slideWithText = () => ({
    label: t("export.pptxText"),
    about: t("export.pptxText.about"),
    icon: /** @type {const} */ ("logo"),
    // The pictures stay, hidden, because the font differs.
    run: () => actions.exportStack("pptx", "both"),
  });
  const button = menuButton(h("button.button", icon("download"), words), () => ({
    label: t("layers.export"),
    entries: [
      ...(limits?.export_formats ?? []).flatMap((format) => [
        {
          label: t(`export.${format}`),
          about: t(`export.${format}.about`),
          icon: limits?.image_formats.includes(format) ? /** @type {const} */ ("picture") : /** @type {const} */ ("logo"),
          run: () => actions.exportStack(format),
        },
        ...(format === "pptx" && limits?.text_forms.includes("both") ? [slideWithText()] : []),
      ]),
      "",
      { label: t("export.copy"), about: t("export.copy.about"), icon: /** @type {const} */ ("copy"), run: actions.copyPicture },
      ...(actions.canShare()
        ? [{ label: t("export.share"), about: t("export.share.about"), icon: /** @type {const} */ ("share"), run: actions.sharePicture }]
        : []),
    ],
  }));
  const add = filePicker({ label: t("layers.add"), title: t("layers.addTitle"), look: "", icon: "plus", onfiles: actions.addPictures });
  const element = h("div.export-bar", add, button);
  return {
    element,
    /** @param {State} state @param {boolean} ready   whether the layers' actions are loaded */
    render: (state, ready) => {
      limits = state.config?.limits;
      // A second export waits for the first; a disabled button would lose the focus.
      button.disabled = isDecomposing(state);
      element.hidden = !ready || state.doc.layers.length === 0;
      setText(words, t(state.exporting === null ? "layers.export" : "layers.preparing"));
    },
  };
}
