import { h, setAttribute, setLabel, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { asLayer, flatten } from "../../images/compositor.js";
import { commandOf } from "../../keymap.js";
import { pairOf, statesOf } from "../../state/store.js";
import { iconButton } from "../shell/fields.js";

/** Pixels of the longer side of a state's picture. */
const SIDE_PX = 112;

/**
 * The project's history as a list of states: a click or the arrow keys go to one, and any two can be compared on
 * the stage.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @returns {View}
 */
export function createHistoryPanel(actions, bitmaps) {
  /** @type {Map<Doc, ReturnType<typeof createRow>>} */
  const rows = new Map();
  const thumbs = createThumbs(bitmaps);
  const list = h("ol.states", { onkeydown: walk });
  const stop = h("button.button.small", { onclick: actions.stopComparing }, t("history.stop"));
  const close = iconButton("close", t("history.close"), () => actions.walk(false));
  const head = h("div.panel-head", h("h2.heading", t("history.title")), close);
  const element = h("section.panel.history", { "aria-label": t("history.title") }, head, h("p.hint", t("history.hint")), list, stop);
  /** @type {readonly unknown[]} */
  let shown = [];
  let now = 0;

  const commands = /** @type {Record<string, (from: number) => number>} */ ({
    earlier: () => now - 1,
    later: () => now + 1,
    first: () => 0,
    last: () => rows.size - 1,
  });

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const command = commandOf("history", event);
    if (command === "") return;
    event.preventDefault();
    const all = [...rows.values()];
    if (command === "close") return actions.walk(false);
    if (command === "compare") return all.find((row) => row.element.contains(document.activeElement))?.mark();
    const next = all[commands[command](now)];
    next?.go();
    next?.focus();
  }

  /** @param {State} state */
  function render(state) {
    const opens = element.hidden && state.walking;
    element.hidden = !state.walking;
    if (element.hidden) return thumbs.clear();
    const next = [state.doc, state.past, state.future, state.compared];
    if (next.every((part, index) => part === shown[index])) return undefined;
    shown = next;
    const all = statesOf(state);
    now = all.findIndex(({ index }) => index === state.past.length);
    const kept = new Map(rows);
    rows.clear();
    for (const { doc } of all) rows.set(doc, kept.get(doc) ?? createRow(doc, actions, thumbs));
    const elements = [...rows.values()].map((row) => row.element);
    if (elements.length !== list.childElementCount || elements.some((each, index) => each !== list.children[index]))
      list.replaceChildren(...elements);
    const pair = pairOf(state);
    for (const [index, each] of all.entries()) {
      const place = pair?.findIndex(({ doc }) => doc === each.doc) ?? -1;
      rows.get(each.doc)?.render(each, { away: index - now, marked: state.compared.includes(each.doc), place });
    }
    stop.hidden = pair === null;
    const current = [...rows.values()][now];
    current?.element.scrollIntoView({ block: "nearest" });
    if (opens) current?.focus();
    return undefined;
  }

  return { element, render };
}

/** @param {Doc} doc @param {Actions} actions @param {ReturnType<typeof createThumbs>} thumbs */
function createRow(doc, actions, thumbs) {
  let index = 0;
  const picture = h("span.thumb.checkerboard");
  const name = h("span.layer-name");
  const facts = h("span.hint");
  const go = () => actions.goTo(index);
  const mark = () => actions.markState(doc);
  const main = h("button.layer-main", { onclick: go }, picture, h("span.layer-words", name, facts));
  const compare = h("button.icon-button", { onclick: mark }, icon("compare"));
  const element = h("li.state", main, compare);
  // There may be a hundred of them: invisible ones are not drawn.
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    watch.disconnect();
    thumbs.of(doc).then(
      (canvas) => canvas && picture.replaceChildren(canvas),
      () => {}, // a missing picture leaves its place empty
    );
  });
  watch.observe(element);
  return {
    element,
    go,
    mark,
    focus: () => main.focus({ preventScroll: true }),
    /** @param {import("../../state/store.js").HistoryState} state @param {{away: number, marked: boolean, place: number}} about   `away`: from the current one; `place`: in what is compared */
    render: ({ step, index: at }, { away, marked, place }) => {
      index = at;
      const words = step === null ? t("history.start") : t(step.title, step.about);
      setText(name, words);
      const roles = [away === 0 && t("history.now"), place >= 0 && t(place === 0 ? "stage.mode.before" : "stage.mode.after")];
      setText(facts, roles.filter(Boolean).join(" · "));
      element.classList.toggle("selected", away === 0);
      element.classList.toggle("ahead", away > 0);
      setAttribute(main, "aria-current", away === 0 ? "step" : null);
      setAttribute(compare, "aria-pressed", marked);
      setLabel(compare, t("history.compare", { name: words }));
      for (const button of [main, compare]) button.tabIndex = away === 0 ? 0 : -1;
    },
  };
}

/** Thumbnails of documents; each layer's picture is scaled down once for all of them. @param {Bitmaps} bitmaps */
function createThumbs(bitmaps) {
  /** @type {Map<string, Promise<ImageBitmap>>} */
  const small = new Map();
  /** @type {WeakMap<Doc, Promise<HTMLCanvasElement | null>>} */
  const made = new WeakMap();

  /** @param {string} address */
  async function shrink(address) {
    const picture = await bitmaps.load(address);
    const factor = Math.min(1, (2 * SIDE_PX) / Math.max(picture.width, picture.height));
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * factor)));
    return createImageBitmap(picture, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
  }

  /** @param {string} address */
  function load(address) {
    const loading = small.get(address) ?? shrink(address);
    small.set(address, loading);
    return loading;
  }

  /** @param {Doc} doc */
  async function draw(doc) {
    const layers = doc.layers.length > 0 || doc.picture === null ? doc.layers : [asLayer(doc.picture)];
    const { canvas } = await flatten(layers, doc, { ...bitmaps, load }, SIDE_PX);
    canvas.className = "thumb-picture";
    return canvas;
  }

  return {
    /** @param {Doc} doc */
    of: (doc) => {
      const drawing = made.get(doc) ?? draw(doc);
      made.set(doc, drawing);
      return drawing;
    },
    clear: () => small.clear(),
  };
}
