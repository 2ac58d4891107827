import { findLayer } from "../state/doc.js";
import { forgetJobs, notedJobs } from "../state/snapshot.js";
import { isOver, messageOf } from "../transport/api.js";

const POLL_MS = 1500;

/** All jobs of this browser, from any tab and project. @param {Context} context @param {Start} start */
export function createJobList({ store, api, tryTo }, { jobs, actions }) {
  let timer = 0;
  let watching = false;

  async function look() {
    clearTimeout(timer);
    try {
      const list = await api.jobs();
      forgetJobs(list.map(({ id }) => id));
      store.update({ jobList: list, jobsError: null });
    } catch (error) {
      store.update({ jobsError: messageOf(error) });
    }
    clearTimeout(timer);
    if (watching) timer = setTimeout(look, POLL_MS);
  }

  return {
    /** Start or stop updating the list. @param {boolean} on */
    watchJobs: (on) => {
      watching = on;
      if (!on) return clearTimeout(timer);
      actions.listProjects();
      return look();
    },

    /** @param {readonly string[]} ids */
    cancelJobs: async (ids) => {
      await Promise.all(ids.map(jobs.cancel));
      await look();
    },

    /** Open a job's result or error. @param {Job} job */
    openJob: (job) =>
      tryTo(async () => {
        const { project, layerId } = notedJobs()[job.id] ?? {};
        if (project === undefined) return;
        if (store.state.project?.id !== project) await actions.openProject(project);
        const layer = findLayer(store.state.doc, layerId ?? null);
        if (store.state.project?.id !== project || layer === null) return;
        const edit = store.state.edits[layer.id];
        // A failed try has the id of its job.
        const failed = isOver(job) && edit?.tries?.some(({ id }) => id === job.id);
        const edits = failed ? { ...store.state.edits, [layer.id]: { ...edit, chosen: job.id } } : store.state.edits;
        store.update({ selected: layer.id, edits, ...(job.kind === "edit" && { editing: layer.id }) });
      }),
  };
}
