// @ts-check
import { createActions } from "./actions/actions.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { createBitmaps } from "./images/bitmaps.js";
import { listenToKeys } from "./shortcuts.js";
import { initialState } from "./state/initial.js";
import { loadSpeeds } from "./state/storage.js";
import { Store } from "./state/store.js";
import { api } from "./transport/api.js";
import { createConflictBar } from "./views/conflict-bar.js";
import { createDrop } from "./views/drop.js";
import { createEditDialog } from "./views/edit-dialog.js";
import { createHeader } from "./views/header.js";
import { createEngineDialog, createHelpDialog } from "./views/info-dialogs.js";
import { createJobBar } from "./views/job-bar.js";
import { createLayerList } from "./views/layer-list.js";
import { createBrokenBar, createNotice, createOfflineBar } from "./views/notice.js";
import { createProjectsDialog } from "./views/projects-dialog.js";
import { createSource } from "./views/source.js";
import { createStage } from "./views/stage.js";

const store = new Store({ ...initialState(), speeds: loadSpeeds() });
const bitmaps = createBitmaps(api);
const actions = createActions({ store, api, bitmaps });

const engineDialog = createEngineDialog();
const helpDialog = createHelpDialog();
const projectsDialog = createProjectsDialog(actions);
const header = createHeader(actions, { openEngine: engineDialog.open, openHelp: helpDialog.open, openProjects: projectsDialog.open });
const bars = [createOfflineBar(actions), createBrokenBar(engineDialog.open), createConflictBar(actions)];
const source = createSource(actions);
const stage = createStage(actions, bitmaps, projectsDialog.open);
const layers = createLayerList(actions, bitmaps);
const jobBar = createJobBar(actions);
const notice = createNotice(actions);
const editDialog = createEditDialog(actions, bitmaps);
const views = [header, ...bars, source, stage, layers, jobBar, notice, editDialog, engineDialog, projectsDialog];

document.body.prepend(
  h("a", { class: "skip-link", href: "#stage" }, t("skip")),
  h(
    "div",
    { class: "app" },
    header.element,
    h("div", { class: "bars" }, ...bars.map((bar) => bar.element)),
    h("main", { class: "desk" }, source.element, stage.element, layers.element),
    jobBar.element,
  ),
  createDrop(actions),
  notice.element,
  ...[editDialog, engineDialog, helpDialog, projectsDialog].map((dialog) => dialog.element),
);

/** Render once for all changes of a moment. */
let due = false;
function render() {
  due = false;
  const { doc, entering } = store.state;
  document.body.dataset.has = doc.layers.length > 0 ? "layers" : doc.picture ? "picture" : entering ? "entering" : "nothing";
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
whenever(() => store.state.doc.composite, actions.measureFidelity);
whenever(() => store.state.doc, () => store.state.mode !== "layers" && actions.measureSoon());
whenever(() => store.state.doc.picture, () => requestAnimationFrame(source.focus));
whenever(() => Object.keys(store.state.jobs).length, actions.checkService);
// A phone that was asleep has lost its connections.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && actions.wakeJobs());
addEventListener("pageshow", (event) => event.persisted && actions.wakeJobs());

listenToKeys(store, actions, stage, layers, helpDialog.open);
render();
actions.checkService();
actions.enterAddress();
