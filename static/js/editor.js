import { createComparison } from "./actions/comparison.js";
import { createDecompose, createThings } from "./actions/decompose.js";
import { createTools } from "./actions/tools.js";
import { h } from "./dom.js";
import { listenToKeys } from "./shortcuts.js";
import { pairOf } from "./state/store.js";
import { takesThings } from "./state/things.js";
import { onDemand } from "./transport/api.js";
import { createStack } from "./views/layers/stack.js";
import { createJobBar } from "./views/shell/job-bar.js";
import { createSource } from "./views/source/source.js";
import { createStage } from "./views/stage/stage.js";

/**
 * Everything that needs a picture. The start page does not, so it is loaded with the first picture.
 *
 * @param {Context} context
 * @param {Start} start
 * @param {{desk: HTMLElement, foot: HTMLElement, welcome: HTMLElement, notices: HTMLElement}} places   the elements that it replaces or reuses
 * @param {(part: () => unknown, follow: () => void) => void} whenever
 * @param {{openHelp: () => void, openEngine: () => void, openJobs: () => void}} open
 * @returns {Pick<View, "render">[]}
 */
export function createEditor(context, start, { desk, foot, welcome, notices }, whenever, open) {
  const { store, bitmaps } = context;
  const actions = createActions(context, start);
  const source = createSource(actions, open.openEngine);
  const stage = createStage(actions, bitmaps, welcome);
  const layers = createStack(actions, bitmaps, async (places) => {
    const [{ createLayerList }] = await Promise.all([import("./views/layers/list.js"), actions.loadLayerActions()]);
    return createLayerList(actions, bitmaps, places);
  });
  const jobBar = createJobBar(actions, open.openJobs);
  const editDialog = createWhenAsked(
    context,
    ({ editing }) => editing !== null,
    { editing: null },
    async () => {
      const [{ createEditDialog }] = await Promise.all([import("./views/edit/dialog.js"), addStyles("edit.css")]);
      const view = createEditDialog(actions, bitmaps, open, notices);
      document.body.append(view.element);
      return view;
    },
  );
  const history = createWhenAsked(
    context,
    ({ walking }) => walking,
    { walking: false },
    async () => {
      const { createHistoryPanel } = await import("./views/layers/history.js");
      const view = createHistoryPanel(actions, bitmaps);
      view.element.hidden = true;
      layers.element.after(view.element);
      return view;
    },
  );
  desk.replaceChildren(source.element, stage.element, layers.element);
  foot.replaceWith(jobBar.element);

  whenever(() => store.state.doc.composite, actions.measureFidelity);
  whenever(
    () => store.state.doc,
    () => store.state.mode !== "layers" && actions.measureSoon(),
  );
  whenever(() => pairOf(store.state) === null, actions.turnToPair);
  whenever(
    () => store.state.doc.picture,
    () => requestAnimationFrame(source.focus),
  );
  // Marks in another picture, or at another size, are invalid in this one.
  whenever(() => [store.state.doc.picture?.image, store.state.doc.width, store.state.doc.height].join(" "), actions.putToolDown);
  whenever(
    () => takesThings(store.state),
    () => store.state.tool?.kind === "things" && actions.putToolDown(),
  );
  whenever(() => Object.keys(store.state.jobs).length, actions.checkService);
  listenToKeys(store, actions, stage, layers);
  return [source, stage, layers, jobBar, editDialog, history];
}

/** @param {string} file @returns {Promise<unknown>}   resolves when they apply */
function addStyles(file) {
  return new Promise((onload, onerror) => {
    document.head.append(h("link", { rel: "stylesheet", href: new URL(`../css/${file}`, import.meta.url).pathname, onload, onerror }));
  });
}

/**
 * A view that is loaded on first use: a tenth of all scripts serve only layer edits.
 *
 * @param {Context} context
 * @param {(state: State) => boolean} isAsked
 * @param {ViewPatch} back   reverts the request if loading fails
 * @param {() => Promise<View>} load   adds it to the page
 */
function createWhenAsked({ store, tryTo }, isAsked, back, load) {
  /** @type {View | null} */
  let view = null;
  const bring = onDemand(async () => {
    try {
      view = await load();
      view.render(store.state);
    } catch (error) {
      store.update(back);
      throw error;
    }
  });
  return {
    render: (/** @type {State} */ state) => {
      if (view !== null) view.render(state);
      else if (isAsked(state)) tryTo(bring);
    },
  };
}

/**
 * @typedef {ReturnType<typeof import("./actions/layers.js").createLayers> & ReturnType<typeof import("./actions/selection.js").createSelection> & ReturnType<typeof import("./actions/exports.js").createExports> & ReturnType<typeof import("./actions/edits.js").createEdits>["actions"] & ReturnType<typeof import("./actions/layers.js").createSplit>["actions"]} LayerActions
 */

/** The page's actions once there is a picture; those for layers are loaded with the first layers. @param {Context} context @param {Start} start */
export function createActions(context, { history, jobs, actions }) {
  const loadLayerActions = onDemand(async () => {
    const [{ createEdits }, { createExports }, { createLayers, createSplit }, { createSelection }] = await Promise.all([
      import("./actions/edits.js"),
      import("./actions/exports.js"),
      import("./actions/layers.js"),
      import("./actions/selection.js"),
    ]);
    const edits = createEdits(context, jobs, history);
    const split = createSplit(context, jobs);
    const made = [createExports(context), createLayers(context, history), createSelection(context, history)];
    Object.assign(all, edits.actions, split.actions, ...made);
    return { edit: edits.finish, split: split.finish };
  });
  const decompose = createDecompose(context, jobs, history);
  /** @param {"edit" | "split"} kind @returns {import("./actions/jobs.js").Finish} */
  const later = (kind) => (job, purpose) => context.tryTo(async () => (await loadLayerActions())[kind](job, purpose));
  jobs.onEnd({ decompose: decompose.finish, split: later("split"), edit: later("edit") });
  const all = {
    ...actions,
    .../** @type {LayerActions} */ ({}),
    ...createTools(context, history),
    ...createThings(context),
    ...createComparison(context),
    ...decompose.actions,
    loadLayerActions,
    cancelJob: jobs.cancel,
  };
  return all;
}
