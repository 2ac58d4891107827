import { createHistory } from "./history.js";
import { createJobs } from "./jobs.js";
import { createPicture } from "./picture.js";
import { createProjectList, createProjects } from "./projects.js";
import { createSaving } from "./saving.js";

/**
 * What the page can do before there is anything to edit. An action may call the server; it ends in `store.run` or
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

/** Watching the server: which engine it runs, how long its queue is, whether it is there. @param {Context} context */
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
