import { createStart } from "./actions/start.js";
import { h, isTyping, setText } from "./dom.js";
import { t } from "./i18n.js";
import { createBitmaps } from "./images/bitmaps.js";
import { commandOf } from "./keymap.js";
import { initialState } from "./state/initial.js";
import { loadSpeeds } from "./state/snapshot.js";
import { Store } from "./state/store.js";
import { api, messageOf, onDemand } from "./transport/api.js";
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

const openHelp = opening(async () => (await import("./views/shell/dialogs.js")).createHelpDialog());
const openEngine = opening(async () => (await import("./views/shell/dialogs.js")).createEngineDialog());
const openProjects = opening(async () => {
  const [{ createProjectsDialog }, { createQuestion }] = await Promise.all([
    import("./views/projects/dialog.js"),
    import("./views/shell/dialogs.js"),
  ]);
  const question = createQuestion();
  document.body.append(question.element);
  return createProjectsDialog(actions, question.ask);
});
const openJobs = opening(async () => {
  const [{ createJobsDialog }, { createJobList }] = await Promise.all([import("./views/shell/jobs.js"), import("./actions/job-list.js")]);
  return createJobsDialog(createJobList(context, start));
});
const header = createHeader(actions, { openEngine, openHelp, openProjects, openJobs });
const bars = createBars(actions, openEngine);
const welcome = createWelcome(actions, openProjects);
const notice = createNotice(actions);
const idle = h("p.job-facts.hint");
const foot = h("footer.job-bar", idle);
const desk = h("main.desk", h("section.stage", { id: "stage", tabIndex: -1, "aria-label": t("stage.region") }, welcome.element));
const waiting = { render: (/** @type {State} */ state) => setText(idle, idleWords(state)) };
/** @type {{render: (state: State) => void}[]} */
const views = [header, bars, welcome, notice, waiting];

document.body.prepend(
  h("a.skip-link", { href: "#stage" }, t("skip")),
  h("div.app", header.element, bars.element, desk, foot),
  createDrop(actions),
  notice.element,
);

/**
 * Returns a function that opens a dialog, which is loaded on first use.
 * @param {() => Promise<{element: HTMLDialogElement, open: () => void, render: (state: State) => void}>} load
 */
function opening(load) {
  const bring = onDemand(async () => {
    const dialog = await load();
    const back = () => (document.querySelector("dialog[open]") ?? document.body).append(notice.element);
    dialog.element.addEventListener("close", back);
    document.body.append(dialog.element);
    views.push(dialog);
    render();
    return dialog;
  });
  return () =>
    context.tryTo(async () => {
      const { element, open } = await bring();
      if (element.open) return;
      open();
      // Notices must be inside the modal: below it they would be hidden.
      element.append(notice.element);
    });
}

async function loadEditor() {
  const { createEditor } = await context.prepareEditor();
  const open = { openHelp, openEngine, openJobs };
  views.push(...createEditor(context, start, { desk, foot, welcome: welcome.element, notices: notice.element }, whenever, open));
  render();
}

/** Render once for all changes of a task. A failing view is reported and does not affect the others. */
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

/** Run a reaction to changes of a part of the state. @param {() => unknown} part @param {() => void} follow */
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
  const open = { help: openHelp, jobs: openJobs }[commandOf("everywhere", event)];
  if (open === undefined || isTyping(event) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  open();
});
// A phone that was asleep has lost its connections.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  store.update({ unseen: null });
  actions.wakeJobs();
});
addEventListener("pageshow", (event) => event.persisted && actions.wakeJobs());

render();
actions.checkService();
actions.enterAddress();
