import { formatList, size, t } from "../i18n.js";
import { filesOf, kindOf, sendable } from "../images/files.js";
import { coverageOf } from "../images/pixels.js";
import { add, openPicture } from "../state/commands.js";
import { newId, newLayer, placeInside } from "../state/doc.js";
import { ApiError, base, messageOf } from "../transport/api.js";

/** @typedef {"house" | "poster" | "still_life" | "night"} Sample */
/** @typedef {"error.notAPicture" | "error.otherPage"} Problem */

/**
 * All imports: pictures and layered files.
 * @param {Context} context
 * @param {{makeRoom: (name: string) => Promise<void>, importFile: (file: File, name: string) => Promise<unknown>}} projects   `makeRoom`: called before another picture replaces the current one
 * @param {Travel} history
 */
export function createPicture({ store, api, bitmaps, tryTo, prepareEditor, loadEditor }, { makeRoom, importFile }, { undo }) {
  let latest = 0;

  /** @param {Problem} problem */
  const wordsFor = (problem) => t(problem, { formats: formatList([...(store.state.config?.limits.image_formats ?? []), "svg"]) });

  /** @param {Problem} problem @returns {never} */
  function refuse(problem) {
    throw new ApiError(wordsFor(problem), { code: "not_a_picture" });
  }

  /** Store a picture on the server, scaled down to the server's limits if necessary. @param {File} file */
  async function send(file) {
    const { blob, scaledFrom: shrunk } = await sendable(file, store.state.config?.limits).catch(() => refuse("error.notAPicture"));
    const { image, width, height, scaled_from: fitted } = await api.upload(blob);
    // The server scales down pictures that the browser cannot show.
    const scaledFrom = shrunk ?? (fitted && { width: fitted[0], height: fitted[1] });
    return { image, width, height, ...(scaledFrom && { scaledFrom }) };
  }

  /** Show the progress of an upload. @param {string} name @param {string | null} preview @param {() => Promise<(() => unknown) | undefined>} work   returns how to show the result; of several in a row only the last is shown */
  async function receive(name, preview, work) {
    latest += 1;
    const mine = latest;
    store.update({ upload: { name, preview }, sourceError: null, notice: null });
    try {
      const show = await work();
      if (mine !== latest) return;
      await show?.();
      store.update({ upload: null });
    } catch (error) {
      if (mine === latest) store.update({ upload: null, sourceError: messageOf(error) });
    }
  }

  /** Open a picture: show it at once and store it on the server. @param {File} file @param {string} name */
  async function open(file, name, preview = URL.createObjectURL(file)) {
    await receive(name, preview, async () => {
      const [stored] = await Promise.all([send(file), prepareEditor()]);
      return async () => {
        await loadEditor();
        await makeRoom(name);
        store.run(openPicture({ name, ...stored }), { upload: null, selected: null, mode: "layers", fidelity: null, stageError: null });
        if (stored.scaledFrom) store.say(scaledWords(stored.scaledFrom, stored));
      };
    });
    if (preview.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(preview), 1000);
  }

  /** @param {File} file */
  const nameOf = (file) => file.name.replace(/(\.llm-dit)?\.[^.]+$/, "") || t("file.pasted");

  /** @param {File} file */
  async function addLayer(file) {
    const name = nameOf(file);
    const { image, width, height, scaledFrom } = await send(file);
    const { doc, selected } = store.state;
    const coverage = coverageOf(await bitmaps.load(image));
    const layer = newLayer({ id: newId(), name, image, width, height, coverage, ...placeInside({ width, height }, doc) });
    store.run(add(layer, selected), { selected: layer.id, mode: "layers" });
    const added = store.state.doc;
    const openInstead = () => {
      if (store.state.doc === added) undo();
      return open(file, name);
    };
    const words = [t("notice.added", { name }), scaledFrom && scaledWords(scaledFrom, { width, height })].filter(Boolean).join(". ");
    store.say(words, { label: t("notice.openInstead"), run: openInstead });
  }

  /** Open any file. @param {File} file */
  async function openFile(file) {
    const name = nameOf(file);
    if ((await kindOf(file)) !== "layers") return open(file, name);
    return receive(name, null, async () => {
      await importFile(file, name);
    });
  }

  /** Pictures become layers of the current stack; the first starts a new one. A layered file becomes a separate project. @param {File[]} files */
  async function bring(files) {
    if (store.state.doc.layers.length === 0) {
      await openFile(files[0]);
      const isOpen = store.state.sourceError === null;
      return files.length > 1 && isOpen ? store.say(t("notice.firstOpened", { name: nameOf(files[0]) })) : undefined;
    }
    /** @type {unknown[]} errors of some files; the others are still added */
    const problems = [];
    for (const file of files) {
      const isLayers = (await kindOf(file)) === "layers";
      await (isLayers ? openFile(file) : addLayer(file)).catch((problem) => problems.push(problem));
    }
    if (problems.length > 0) throw problems[0];
  }

  return {
    openFile,

    /** @param {File[]} files */
    addPictures: (files) => tryTo(() => bring(files)),

    /** Add dropped or pasted files. @param {DataTransfer | null} transfer */
    receiveTransfer: async (transfer) => {
      const { files, problem } = await filesOf(transfer, api.image);
      if (problem === null) return tryTo(() => bring(files));
      return store.state.doc.layers.length === 0 ? store.update({ sourceError: wordsFor(problem) }) : store.say(wordsFor(problem));
    },

    /** @param {Sample} sample */
    openSample: async (sample) => {
      const address = `${base}/static/samples/${sample}.webp`;
      try {
        await open(new File([await api.image(address)], sample, { type: "image/webp" }), t(`sample.${sample}`), address);
      } catch (error) {
        store.update({ sourceError: messageOf(error) });
      }
    },

    /** @param {Partial<Settings>} settings */
    set: (settings) => store.update({ settings: { ...store.state.settings, ...settings } }),
  };
}

/** @param {Extent} from @param {Extent} to */
const scaledWords = (from, to) => t("notice.scaled", { from: size(from.width, from.height), to: size(to.width, to.height) });
