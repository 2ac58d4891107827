import { t } from "../i18n.js";
import { findLayer } from "../state/doc.js";
import { createJobs } from "./jobs.js";
import { createPicture } from "./picture.js";
import { createProjectList, createProjects } from "./projects.js";
import { createSaving } from "./saving.js";

/**
 * The page's actions before there is anything to edit. An action may call the server; it ends in `store.run` or
 * `store.update`, and the views follow.
 * @param {Context} context
 */
export function createStart(context) {
  const { store, api, tryTo } = context;
  const history = createHistory(context);
  const jobs = createJobs(context);
  const saving = createSaving(context);
  const { makeRoom, actions, ...projects } = createProjects(context, saving, jobs);
  const { importFile, ...list } = createProjectList(context, saving, projects);
  return {
    history,
    jobs,
    actions: {
      ...createService(context),
      ...createPicture(context, { makeRoom, importFile }, history),
      ...history,
      ...actions,
      ...list,
      wakeJobs: jobs.wake,
      /** The page asks for the token again. */
      logOut: () => tryTo(() => saving.save().then(api.logOut)),
      dismissNotice: () => store.update({ notice: null }),
    },
  };
}

const POLL_MS = 10_000;
const POLL_SOON_MS = 3_000;

/** Polls the server: its engine, its queue, and whether it is reachable. @param {Context} context */
function createService({ store, api }) {
  let timer = 0;

  const isSettled = () => store.state.reachable && store.state.status?.state !== "loading";

  async function checkService() {
    clearTimeout(timer);
    try {
      const status = await api.status();
      if (store.state.config?.engine !== status.engine) store.update({ config: await api.config() });
      const changed = JSON.stringify(status) !== JSON.stringify(store.state.status);
      if (changed || !store.state.reachable) store.update({ status, reachable: true });
    } catch {
      if (store.state.reachable) store.update({ reachable: false });
    }
    clearTimeout(timer);
    timer = setTimeout(checkService, isSettled() ? POLL_MS : POLL_SOON_MS);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") checkService();
    else clearTimeout(timer);
  });
  return { checkService };
}

/** The pause after which another key press counts as a new step. */
const PAUSE_MS = 1000;

/** Changes of the document, with undo and redo. @param {Context} context */
export function createHistory({ store }) {
  let ending = 0;

  /** @param {"past" | "future"} where @param {"undo" | "redo"} travel @param {"notice.undone" | "notice.redone"} say */
  function go(where, travel, say) {
    const step = store.state[where].at(-1);
    if (step === undefined) return;
    store[travel]();
    arrive();
    store.say(t(say, { label: t(step.title, step.about) }));
  }

  /** Keep the selection as far as it still exists. */
  function arrive() {
    const { doc, selected } = store.state;
    const still = findLayer(doc, selected) === null ? (doc.layers.at(-1)?.id ?? null) : selected;
    store.update({ selected: still, stageError: null });
  }

  /** Change the document. Commands of one gesture are one step until `endGesture`. @param {Command} command @param {ViewPatch} [patch] */
  function run(command, patch = {}) {
    clearTimeout(ending);
    // After a change the result is shown, not a comparison of earlier states.
    const compared = store.state.compared.length > 1 ? { compared: [] } : {};
    return store.run(command, { notice: null, ...compared, ...patch });
  }

  return {
    run,
    undo: () => go("past", "undo", "notice.undone"),
    redo: () => go("future", "redo", "notice.redone"),

    /** Go to a state of the history. @param {number} index   how many steps lie before it */
    goTo: (index) => {
      clearTimeout(ending);
      store.goTo(index);
      arrive();
      store.update({ notice: null });
    },

    endGesture: () => {
      clearTimeout(ending);
      store.endGesture();
    },

    /** End the gesture unless another key follows within a moment. */
    endKeys: () => {
      clearTimeout(ending);
      ending = setTimeout(() => store.endGesture(), PAUSE_MS);
    },
  };
}
