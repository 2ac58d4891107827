import { many, t } from "../i18n.js";
import { saveFile } from "../images/files.js";

/**
 * What can be done with a project, be it the current one or another one of the list.
 *
 * @param {Context} context
 * @param {SavingWork} saving
 * @param {{go: (address: string) => Promise<unknown>, listProjects: () => Promise<unknown>, listDeleted: () => Promise<unknown>, restoreProject: (project: {id: string, name: string}, open: boolean) => unknown}} projects
 */
export function createProjectList({ store, api, tryTo }, saving, { go, listProjects, listDeleted, restoreProject }) {
  const isAtHand = (/** @type {string} */ id) => store.state.project?.id === id;

  /** Do something with a project of which the server has everything. @param {(project: {id: string, name: string}) => Promise<unknown>} work */
  const saved = (work) => (/** @type {{id: string, name: string}} */ project) =>
    tryTo(async () => {
      if (isAtHand(project.id)) await saving.save();
      await work(project);
    });

  return {
    /** @param {string} id @param {string} name */
    renameProject: (id, name) =>
      tryTo(async () => {
        const { project } = store.state;
        if (name.trim() === "") return;
        if (project !== null && project.id === id) return store.update({ project: { ...project, name: name.trim() } });
        const { document, version, thumbnail } = await api.projects.read(id);
        await api.projects.write(id, { name: name.trim(), document, version, thumbnail });
        await listProjects();
      }),

    duplicateProject: saved(async ({ id, name }) => {
      const copy = await api.projects.duplicate(id, t("project.copyOf", { name }));
      if (isAtHand(id)) await go(`/p/${copy.id}`);
      else await listProjects();
    }),

    deleteProject: saved(async ({ id, name }) => {
      const open = isAtHand(id);
      await api.projects.remove(id);
      if (open) await go("/");
      await Promise.all([listProjects(), listDeleted()]);
      store.say(t("project.deleted", { name }), { label: t("notice.undo"), run: () => restoreProject({ id, name }, open) });
    }),

    /** @param {{id: string, name: string}} project */
    deleteForGood: ({ id, name }) =>
      tryTo(async () => {
        await api.projects.remove(id, true);
        await listDeleted();
        store.say(t("project.deletedForGood", { name }));
      }),

    downloadProject: saved(async ({ id }) => {
      const { file, missing } = await api.projects.file(id);
      saveFile(file);
      if (missing > 0) store.say(many("project.missing", missing));
    }),

    /** Open a file of layers as a project; the current one is kept. @param {File} file @param {string} name   where the file says none */
    importFile: async (file, name) => {
      const { id, ...project } = await api.projects.importFile(file, name);
      const left = store.state.project;
      await go(`/p/${id}`);
      // What came as a file has no thumbnail yet.
      if (isAtHand(id)) saving.saveAnew();
      const back = left && { label: t("project.back"), run: () => go(`/p/${left.id}`) };
      store.say([t("project.imported", { name: project.name }), ...project.warnings].join(" "), back);
    },
  };
}
