// @ts-check
import { createActions } from "./actions/actions.js";
import { h } from "./dom.js";
import { createBitmaps } from "./images/bitmaps.js";
import { listenToKeys } from "./shortcuts.js";
import { initialState } from "./state/initial.js";
import { keepWorkspace, loadWorkspace } from "./state/storage.js";
import { Store } from "./state/store.js";
import { strings } from "./strings.js";
import { api } from "./transport/api.js";
import { createDrop } from "./views/drop.js";
import { createEditDialog } from "./views/edit-dialog.js";
import { createHeader } from "./views/header.js";
import { createEngineDialog, createHelpDialog } from "./views/info-dialogs.js";
import { createJobBar } from "./views/job-bar.js";
import { createLayerList } from "./views/layer-list.js";
import { createBrokenBar, createNotice, createOfflineBar } from "./views/notice.js";
import { createSource } from "./views/source.js";
import { createStage } from "./views/stage.js";

const store = new Store({ ...initialState(), ...loadWorkspace() });
const bitmaps = createBitmaps(api);
const actions = createActions({ store, api, bitmaps });

const engineDialog = createEngineDialog();
const helpDialog = createHelpDialog();
const header = createHeader(actions, { openEngine: engineDialog.open, openHelp: helpDialog.open });
const offline = createOfflineBar(actions);
const broken = createBrokenBar(engineDialog.open);
const source = createSource(actions);
const stage = createStage(actions, bitmaps);
const layers = createLayerList(actions, bitmaps);
const jobBar = createJobBar(actions);
const notice = createNotice(actions);
const editDialog = createEditDialog(actions, bitmaps);
const views = [header, offline, broken, source, stage, layers, jobBar, notice, editDialog, engineDialog];

document.body.prepend(
  h("a", { class: "skip-link", href: "#stage" }, strings.skip),
  h(
    "div",
    { class: "app" },
    header.element,
    h("div", { class: "bars" }, offline.element, broken.element),
    h("main", { class: "desk" }, source.element, stage.element, layers.element),
    jobBar.element,
  ),
  createDrop(actions),
  notice.element,
  editDialog.element,
  engineDialog.element,
  helpDialog.element,
);

/** Render once for all changes of a moment. */
let due = false;
function render() {
  due = false;
  document.body.dataset.has = store.state.project.layers.length > 0 ? "layers" : store.state.project.picture ? "picture" : "nothing";
  for (const view of views) view.render(store.state);
}

/** What follows from a change of a part of the state. @param {() => unknown} part @param {() => void} follow */
function whenever(part, follow) {
  let before = part();
  store.addEventListener("change", () => {
    const now = part();
    if (now === before) return;
    before = now;
    follow();
  });
}

store.addEventListener("change", () => {
  if (!due) queueMicrotask(render);
  due = true;
});
whenever(() => store.state.project.composite, actions.measureFidelity);
whenever(() => store.state.project.picture, () => requestAnimationFrame(source.focus));
whenever(() => Object.keys(store.state.jobs).length, actions.checkService);

listenToKeys(store, actions, stage, layers, helpDialog.open);
keepWorkspace(store);
render();
actions.checkService();
actions.resumeJobs();
actions.measureFidelity();
