import { createStart } from "./actions/start.js";
import { h, isTyping, setText } from "./dom.js";
import { t } from "./i18n.js";
import { createBitmaps } from "./images/bitmaps.js";
import { commandOf } from "./keymap.js";
import { initialState } from "./state/initial.js";
import { loadSpeeds } from "./state/snapshot.js";
import { Store } from "./state/store.js";
import { api, messageOf, onDemand } from "./transport/api.js";
import { createEngineDialog, createHelpDialog, createQuestion } from "./views/shell/dialogs.js";
import { createDrop, createWelcome } from "./views/shell/files.js";
import { createHeader } from "./views/shell/header.js";
import { idleWords } from "./views/shell/job-bar.js";
import { createBars, createNotice } from "./views/shell/notices.js";

const store = new Store({ ...initialState(), speeds: loadSpeeds() });
const bitmaps = createBitmaps(api);
/** @type {Context} */
const context = {
  store,
  api,
  bitmaps,
  tryTo: (work) => work().catch((error) => store.say(messageOf(error))),
  prepareEditor: () => import("./editor.js"),
  loadEditor: onDemand(loadEditor),
};
const start = createStart(context);
const { actions } = start;

const engineDialog = createEngineDialog();
const helpDialog = createHelpDialog();
const question = createQuestion();
const loadProjects = onDemand(async () => {
  const { createProjectsDialog } = await import("./views/projects/dialog.js");
  return put(createProjectsDialog(actions, question.ask));
});
const loadJobs = onDemand(async () => {
  const [{ createJobsDialog }, { createJobList }] = await Promise.all([import("./views/shell/jobs.js"), import("./actions/job-list.js")]);
  return put(createJobsDialog(createJobList(context, start)));
});
const openJobs = opening(loadJobs);
const openProjects = opening(loadProjects);
const header = createHeader(actions, { openEngine: engineDialog.open, openHelp: helpDialog.open, openProjects, openJobs });
const bars = createBars(actions, engineDialog.open);
const welcome = createWelcome(actions, openProjects);
const notice = createNotice(actions);
const idle = h("p.job-facts.hint");
const foot = h("footer.job-bar", idle);
const desk = h("main.desk", h("section.stage", { id: "stage", tabIndex: -1, "aria-label": t("stage.region") }, welcome.element));
const waiting = { render: (/** @type {State} */ state) => setText(idle, idleWords(state)) };
/** @type {{render: (state: State) => void}[]} */
const views = [header, bars, welcome, notice, engineDialog, waiting];

document.body.prepend(
  h("a.skip-link", { href: "#stage" }, t("skip")),
  h("div.app", header.element, bars.element, desk, foot),
  createDrop(actions),
  notice.element,
  ...[engineDialog, helpDialog, question].map((dialog) => dialog.element),
);

/** @typedef {{element: HTMLDialogElement, open: () => void, render: (state: State) => void}} Dialog */

/** Put a dialog into the page that was loaded when it was first asked for. @param {Dialog} dialog */
function put(dialog) {
  dialog.element.addEventListener("close", () => document.body.append(notice.element));
  document.body.append(dialog.element);
  views.push(dialog);
  render();
  return dialog;
}

/** What opens such a dialog. @param {() => Promise<Dialog>} load */
function opening(load) {
  return () =>
    context.tryTo(async () => {
      const { element, open } = await load();
      if (document.querySelector("dialog[open]")) return;
      open();
      // What happens there is said there: under a modal nobody would hear of it.
      element.append(notice.element);
    });
}

async function loadEditor() {
  const { createEditor } = await context.prepareEditor();
  const open = { openHelp: helpDialog.open, openEngine: engineDialog.open, openJobs };
  views.push(...createEditor(context, start, { desk, foot, welcome: welcome.element, notices: notice.element }, whenever, open));
  render();
}

/** Render once for all changes of a moment. A view that fails is reported, and takes no other one with it. */
let due = false;
const failing = new Set();
function render() {
  due = false;
  const { doc, entering } = store.state;
  document.body.dataset.has = doc.layers.length > 0 ? "layers" : doc.picture ? "picture" : entering ? "entering" : "nothing";
  for (const view of views) {
    try {
      view.render(store.state);
      failing.delete(view);
    } catch (error) {
      if (!failing.has(view)) console.error(error);
      failing.add(view);
    }
  }
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
addEventListener("keydown", (event) => {
  const open = { help: helpDialog.open, jobs: openJobs }[commandOf("everywhere", event)];
  if (open === undefined || isTyping(event) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  open();
});
// A phone that was asleep has lost its connections.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && actions.wakeJobs());
addEventListener("pageshow", (event) => event.persisted && actions.wakeJobs());

render();
actions.checkService();
actions.enterAddress();
