import { createHistory } from "./history.js";
import { createJobs } from "./jobs.js";
import { createPicture } from "./picture.js";
import { createProjectList } from "./project-list.js";
import { createProjects } from "./projects.js";
import { createSaving } from "./saving.js";
import { createService } from "./service.js";

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
      logOut: () => tryTo(async () => (await saving.save(), await api.logOut())),
      dismissNotice: () => store.update({ notice: null }),
    },
  };
}
