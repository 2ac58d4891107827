import { createThumbnails } from "../images/compositor.js";
import { newId } from "../state/doc.js";
import { forgetUnsaved, keepSpeeds, keepUnsaved, partsOf, sameDrafts, sameWork, snapshot } from "../state/snapshot.js";
import { codeOf, messageOf, statusOf } from "../transport/api.js";

const KEEP_MS = 150;
const SAVE_MS = 800;
const RETRY_MS = 5000;

/**
 * Keeps the work: at once in this browser, a moment later on the server. What the server has not got yet outlives a
 * reload; what another tab has saved in the meantime is never written over.
 *
 * @param {Context} context
 */
export function createSaving({ store, api, bitmaps }) {
  const thumbnailOf = createThumbnails(api, bitmaps);
  const channel = new BroadcastChannel("llm-dit.projects");
  let kept = partsOf(store.state);
  /** @type {any} what this tab and the server last had in common */
  let base = null;
  /** @type {Set<string>} names of what was sent since then without an answer: the server may have got it, or not */
  const attempts = new Set();
  /** Why the server does not take it, once that was said. */
  let told = "";
  let [keeping, saving] = [0, 0];
  /** @type {Promise<void> | null} */
  let running = null;

  const isClean = () => partsOf(store.state).every((part, index) => part === kept[index]);

  function changed() {
    if (isClean()) return;
    if (store.state.saving === "saved" && store.state.project !== null) store.update({ saving: "unsaved" });
    if (keeping === 0) keeping = setTimeout(keep, KEEP_MS);
    if (saving === 0 && store.state.project !== null) saving = setTimeout(save, SAVE_MS);
  }

  /** Keep it in this browser. */
  function keep() {
    keeping = 0;
    const { project, speeds } = store.state;
    keepSpeeds(speeds);
    // The server may have got it since the timer was set: what is kept then would be taken for a change by another tab.
    if (project !== null && !isClean())
      keepUnsaved(project.id, { version: project.version, name: project.name, document: snapshot(store.state) });
  }

  /** Bring the server up to date; one request at a time. @returns {Promise<void>} */
  async function save() {
    clearTimeout(saving);
    saving = 0;
    if (running !== null) await running;
    if (isClean() || store.state.project === null || store.state.conflict) return;
    running = write().finally(() => (running = null));
    await running;
    if (!store.state.conflict) changed();
  }

  /** What the server is sent, under a name by which this page knows it again. @param {State} state */
  function named(state) {
    const attempt = newId();
    attempts.add(attempt);
    return { ...snapshot(state), attempt };
  }

  /** @param {boolean} [whole]   false leaves the past out */
  async function write(whole = true) {
    const { project } = store.state;
    if (project === null) return;
    const document = named(whole ? store.state : { ...store.state, past: [], future: [] });
    const parts = partsOf(store.state);
    store.update({ saving: "saving" });
    try {
      const thumbnail = (await thumbnailOf(store.state.doc, project.thumbnail === null)) ?? project.thumbnail;
      const { version } = await api.projects.write(project.id, { name: project.name, document, version: project.version, thumbnail });
      written({ ...project, version, thumbnail }, parts, document);
    } catch (error) {
      if (statusOf(error) >= 400 && statusOf(error) < 500) attempts.delete(document.attempt);
      // The past may need a picture that the server has cleared away; the present is worth saving without it.
      if (statusOf(error) === 422 && whole) return write(false);
      await refused(error, project, parts, document);
    }
  }

  /** @param {Project} project @param {unknown[]} parts @param {any} document */
  function written({ id, version, thumbnail }, parts, document) {
    if (store.state.project?.id !== id) return;
    [kept, base] = [parts, document];
    attempts.clear();
    told = "";
    channel.postMessage({ id, version });
    store.update({ project: { ...store.state.project, version, thumbnail }, saving: isClean() ? "saved" : "unsaved" });
    if (isClean()) forgetUnsaved(id);
    else keep();
  }

  /** @param {unknown} error @param {Project} project @param {unknown[]} parts @param {any} document */
  async function refused(error, project, parts, document) {
    if (store.state.project?.id !== project.id) return;
    // A project that another tab has deleted can still be kept, as a copy.
    if (statusOf(error) === 404) return store.update({ conflict: true, saving: "failed" });
    if (codeOf(error) === "project_changed") {
      try {
        return meet(await api.projects.read(project.id), parts, document);
      } catch (failure) {
        return refused(failure, project, parts, document);
      }
    }
    // A server that is there and does not take it has a reason, which is said once.
    if (statusOf(error) >= 400 && messageOf(error) !== told) {
      told = messageOf(error);
      store.say(told);
    }
    store.update({ saving: "failed" });
    if (saving === 0) saving = setTimeout(save, RETRY_MS);
  }

  /**
   * The server has a newer version. It may come from this page, before a reload or by a request whose answer was lost, or
   * from a tab that saw the same job end: then this page goes on from there and sends what else there is. Otherwise it asks.
   *
   * @param {FullProject} other
   * @param {unknown[]} parts
   * @param {any} document
   */
  function meet(other, parts, document) {
    const { project } = store.state;
    const same = sameWork(other.document, document);
    const known = same || attempts.has(other.document.attempt) || (base !== null && sameWork(other.document, base));
    if (project === null || !known) return store.update({ conflict: true, saving: "unsaved" });
    if (same && sameDrafts(other.document, document)) return written({ ...project, version: other.version }, parts, document);
    return store.update({ project: { ...project, version: other.version }, saving: "unsaved" });
  }

  addEventListener("pagehide", () => {
    keep();
    const { project, conflict } = store.state;
    if (project === null || conflict || isClean()) return;
    api.projects.writeLast(project.id, {
      name: project.name,
      document: named(store.state),
      version: project.version,
      thumbnail: project.thumbnail,
    });
  });
  addEventListener("online", save);
  store.addEventListener("change", changed);

  return {
    channel,
    save,
    keep,
    /** @param {any} document   what the server may have got, or not */
    sent: (document) => {
      base = document;
    },
    isClean,
    /** Save though nothing has changed. */
    saveAnew: () => {
      kept = [];
      return save();
    },
    /** What the page shows is what the server has. @param {any} [document] */
    settle: (document = snapshot(store.state)) => {
      base = document;
      clearTimeout(keeping);
      clearTimeout(saving);
      [keeping, saving] = [0, 0];
      kept = partsOf(store.state);
      store.update({ saving: "saved" });
    },
  };
}
