import { many, t } from "../i18n.js";
import { saveFile } from "../images/files.js";
import { AT_HAND, EMPTY_TIMELINE } from "../state/initial.js";
import { forgetUnsaved, NewerError, restore, sameWork, snapshot, unsavedOf } from "../state/snapshot.js";
import { base, messageOf, statusOf } from "../transport/api.js";

/** Whether a project has content: this page's document, or a stack from elsewhere. @param {any} document */
const isWork = (document) => document?.doc !== undefined || (document?.layers?.length > 0 && document.width > 0);

/** A project's path, below the service's own path. */
const ADDRESS = /^\/p\/([\w-]+)$/;

/**
 * Projects: one per picture, stored on the server, each with its own address.
 *
 * @param {Context} context
 * @param {SavingWork} saving
 * @param {Jobs} jobs
 */
export function createProjects({ store, api, tryTo, prepareEditor, loadEditor }, saving, jobs) {
  /** Load the list of projects; keep the old one if the server is unreachable. */
  async function listProjects() {
    store.update({ projects: await api.projects.list().catch(() => store.state.projects) });
  }

  /** Load the list of deleted projects that can be restored. */
  async function listDeleted() {
    store.update({ deleted: await api.projects.deleted().catch(() => store.state.deleted) });
  }

  /** @param {{id: string, name: string}} project @param {boolean} open   go there */
  const restoreProject = ({ id, name }, open) =>
    tryTo(async () => {
      await api.projects.restore(id);
      if (open) await go(`/p/${id}`);
      else await Promise.all([listProjects(), listDeleted()]);
      store.say(t("project.restored", { name }));
    });

  /** Report that a project does not exist; a deleted one can be restored. @param {string} id */
  async function missed(id) {
    await listDeleted();
    const project = store.state.deleted?.find((one) => one.id === id);
    if (project === undefined) return store.say(t("project.gone"));
    return store.say(t("project.wasDeleted", { name: project.name }), {
      label: t("project.restore"),
      run: () => restoreProject(project, true),
    });
  }

  /** Save the current project, in this browser if the server is unreachable, and close it. */
  async function leave() {
    await saving.save();
    if (!saving.isClean()) saving.keep();
    jobs.leave();
    store.load(EMPTY_TIMELINE, { ...AT_HAND, project: null });
    saving.settle();
  }

  /** @param {FullProject} project @param {any} document @param {ViewPatch} [patch] */
  function take({ id, name, version, thumbnail = null }, document, patch = {}) {
    const { timeline, patch: kept } = isWork(document) ? restore(document) : { timeline: EMPTY_TIMELINE, patch: {} };
    store.load(timeline, { ...AT_HAND, ...kept, project: { id, name, version, thumbnail }, ...patch });
    saving.settle();
    jobs.wake();
  }

  /** Open a project in its last state, with this browser's unsent changes. @param {string} id */
  async function enter(id) {
    const [project] = await Promise.all([api.projects.read(id), prepareEditor()]);
    await loadEditor();
    const unsaved = unsavedOf(id);
    const isSent = unsaved !== null && unsaved.version !== project.version && sameWork(unsaved.document, project.document);
    if (isSent) forgetUnsaved(id);
    take(project, project.document);
    if (unsaved === null) return;
    const { timeline, patch } = restore(unsaved.document);
    if (isSent) {
      // Jobs at the time the page was closed may be newer than the server's version.
      store.update({ jobs: patch.jobs, edits: patch.edits });
      return jobs.wake();
    }
    const conflict = unsaved.version !== project.version;
    store.load(timeline, {
      ...patch,
      project: { id, name: unsaved.name, version: unsaved.version, thumbnail: project.thumbnail ?? null },
      conflict,
    });
    // The request of a closed page may still be in flight with this.
    saving.sent(unsaved.document);
    jobs.wake();
  }

  /** Open the project in the address bar. */
  async function enterAddress() {
    const id = ADDRESS.exec(location.pathname.slice(base.length))?.[1];
    await leave();
    try {
      if (id !== undefined) await enter(id);
      else await listProjects();
    } catch (error) {
      history.replaceState(null, "", `${base}/`);
      if (statusOf(error) === 404 && id !== undefined) await missed(id);
      else store.say(error instanceof NewerError ? t("project.newer") : messageOf(error));
      listProjects();
    } finally {
      store.update({ entering: false });
    }
  }

  /** @param {string} address */
  function go(address) {
    history.pushState(null, "", base + address);
    return enterAddress();
  }

  /** Create a project for the current document. @param {string} name @param {any} document @param {string | null} [thumbnail] */
  async function create(name, document, thumbnail = null) {
    const { id, version, ...project } = await api.projects.create({ name, document, ...(thumbnail && { thumbnail }) });
    history.pushState(null, "", `${base}/p/${id}`);
    store.update({ project: { id, name: project.name, version, thumbnail: project.thumbnail }, conflict: false });
    saving.settle();
  }

  /** Prepare for a new picture: if the project has layers, start a new project. @param {string} name */
  async function makeRoom(name) {
    const { project, doc } = store.state;
    if (project !== null && doc.layers.length === 0) return store.update({ project: { ...project, name } });
    const left = project;
    const { settings, upload } = store.state;
    if (left !== null) await leave();
    store.update({ settings, upload });
    await create(name, snapshot(store.state));
    if (left === null) return;
    store.say(t("project.opened", { name: left.name }), { label: t("project.back"), run: () => go(`/p/${left.id}`) });
  }

  /** Another tab has saved a project. @param {{id: string, version: number}} news */
  async function hear({ id, version }) {
    const { project } = store.state;
    if (project?.id !== id || version <= project.version) return;
    if (!saving.isClean()) return saving.save();
    const { selected, folded, mode } = store.state;
    await tryTo(async () => {
      const other = await api.projects.read(id);
      if (store.state.project?.id !== id || !saving.isClean()) return;
      take(other, other.document, { selected, folded, mode });
      store.say(t("project.followed"));
    });
  }
  saving.channel.addEventListener("message", (event) => hear(event.data));
  addEventListener("popstate", enterAddress);

  return {
    makeRoom,
    go,
    listProjects,
    listDeleted,
    restoreProject,
    actions: {
      /** Keep the other tab's version, and continue with this page's as a copy. */
      keepOwn: () =>
        tryTo(async () => {
          const { project } = store.state;
          if (project === null) return;
          await create(t("project.copyOf", { name: project.name }), snapshot(store.state), project.thumbnail);
          forgetUnsaved(project.id);
        }),

      enterAddress,
      listProjects,
      listDeleted,
      restoreProject,

      /** @param {string} id */
      openProject: (id) => go(`/p/${id}`),
      newProject: () => go("/"),

      /** Replace this page's version by the other tab's. */
      loadOther: () =>
        tryTo(async () => {
          const { project } = store.state;
          if (project === null) return;
          forgetUnsaved(project.id);
          const other = await api.projects.read(project.id);
          take(other, other.document);
        }),
    },
  };
}

/**
 * Operations on the projects in the list, including the current one.
 *
 * @param {Context} context
 * @param {SavingWork} saving
 * @param {{go: (address: string) => Promise<unknown>, listProjects: () => Promise<unknown>, listDeleted: () => Promise<unknown>, restoreProject: (project: {id: string, name: string}, open: boolean) => unknown}} projects
 */
export function createProjectList({ store, api, tryTo }, saving, { go, listProjects, listDeleted, restoreProject }) {
  const isAtHand = (/** @type {string} */ id) => store.state.project?.id === id;

  /** Run an operation on a project after all its changes are saved on the server. @param {(project: {id: string, name: string}) => Promise<unknown>} work */
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

    /** Open a file of layers as a project; the current one is kept. @param {File} file @param {string} name   if the file has none */
    importFile: async (file, name) => {
      const { id, ...project } = await api.projects.importFile(file, name);
      const left = store.state.project;
      await go(`/p/${id}`);
      // An imported file has no thumbnail yet.
      if (isAtHand(id)) saving.saveAnew();
      const back = left && { label: t("project.back"), run: () => go(`/p/${left.id}`) };
      store.say([t("project.imported", { name: project.name }), ...project.warnings].join(" "), back);
    },
  };
}
