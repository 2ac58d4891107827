import { createThumbnails } from "../images/compositor.js";
import { newId } from "../state/doc.js";
import { forgetUnsaved, keepSpeeds, keepUnsaved, partsOf, sameDrafts, sameWork, snapshot } from "../state/snapshot.js";
import { codeOf, messageOf, statusOf } from "../transport/api.js";

const KEEP_MS = 150;
const SAVE_MS = 800;
const RETRY_MS = 5000;

/**
 * Saves the work: at once in this browser, a moment later on the server. Unsent changes survive a
 * reload; versions saved by another tab in the meantime are never overwritten.
 *
 * @param {Context} context
 */
export function createSaving({ store, api, bitmaps }) {
  const thumbnailOf = createThumbnails(api, bitmaps);
  const channel = new BroadcastChannel("llm-dit.projects");
  let kept = partsOf(store.state);
  /** @type {any} the last version that this tab and the server had in common */
  let base = null;
  /** @type {Set<string>} names of versions sent since then without a response: the server may have them or not */
  const attempts = new Set();
  /** The server's reason for a refusal that was already shown. */
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

  /** Save it in this browser. */
  function keep() {
    keeping = 0;
    const { project, speeds } = store.state;
    keepSpeeds(speeds);
    // The server may have it since the timer was set: a copy would then look like a change by another tab.
    if (project !== null && !isClean())
      keepUnsaved(project.id, { version: project.version, name: project.name, document: snapshot(store.state) });
  }

  /** Save to the server; one request at a time. @returns {Promise<void>} */
  async function save() {
    clearTimeout(saving);
    saving = 0;
    if (running !== null) await running;
    if (isClean() || store.state.project === null || store.state.conflict) return;
    running = write().finally(() => (running = null));
    await running;
    if (!store.state.conflict) changed();
  }

  /** The content to send, with a name by which this page recognizes it. @param {State} state */
  function named(state) {
    const attempt = newId();
    attempts.add(attempt);
    return { ...snapshot(state), attempt };
  }

  /** @param {boolean} [whole]   false omits the history */
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
      // The history may need a picture that the server has deleted; the present can be saved without it.
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
    // A reachable server has a reason for a refusal, which is shown once.
    if (statusOf(error) >= 400 && messageOf(error) !== told) {
      told = messageOf(error);
      store.say(told);
    }
    store.update({ saving: "failed" });
    if (saving === 0) saving = setTimeout(save, RETRY_MS);
  }

  /**
   * The server has a newer version. If it comes from this page, before a reload or by a request whose response was lost, or
   * from a tab that saw the same job end, this page continues from there and sends the rest. Otherwise it asks.
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
    /** @param {any} document   which the server may have or not */
    sent: (document) => {
      base = document;
    },
    isClean,
    /** Save even without changes. */
    saveAnew: () => {
      kept = [];
      return save();
    },
    /** Mark the page's version as saved on the server. @param {any} [document] */
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
