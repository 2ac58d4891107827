import { openPicture } from "../commands/picture.js";
import { add } from "../commands/stack.js";
import { t } from "../i18n.js";
import { uploadable } from "../images/files.js";
import { coverageOf } from "../images/pixels.js";
import { newLayer } from "../state/doc.js";
import { newId } from "../state/ids.js";
import { placeInside } from "../state/placement.js";
import { messageOf } from "../transport/api.js";
import { base } from "../transport/base.js";

/** @typedef {"house" | "poster" | "night" | "balloons"} Sample */

/**
 * Bringing pictures in.
 * @param {Context} context
 * @param {(name: string) => Promise<void>} makeRoom   before another picture takes the place of the one at hand
 */
export function createPicture({ store, api, bitmaps, tryTo, loadEditor }, makeRoom) {
  let latest = 0;

  /**
   * Show a picture at once and store it on the server; of several in a row the last one counts.
   * @param {Blob} file
   * @param {string} name
   * @param {string} preview
   */
  async function open(file, name, preview) {
    latest += 1;
    const mine = latest;
    store.update({ upload: { name, preview }, sourceError: null, notice: null });
    try {
      const [stored] = await Promise.all([uploadable(new File([file], name, { type: file.type })).then(api.upload), loadEditor()]);
      if (mine !== latest) return;
      const picture = { name, image: stored.image, width: stored.width, height: stored.height };
      await makeRoom(name);
      store.run(openPicture(picture), { upload: null, selected: null, mode: "layers", fidelity: null, stageError: null });
    } catch (error) {
      if (mine === latest) store.update({ upload: null, sourceError: messageOf(error) });
    } finally {
      if (preview.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(preview), 1000);
    }
  }

  /** @param {File} file */
  const nameOf = (file) => file.name.replace(/\.[^.]+$/, "") || t("file.pasted");

  /** @param {File} file */
  async function addLayer(file) {
    const { doc, selected } = store.state;
    const name = nameOf(file);
    await tryTo(async () => {
      const { image, width, height } = await api.upload(await uploadable(file));
      const coverage = coverageOf(await bitmaps.load(image));
      const layer = newLayer({ id: newId(), name, image, width, height, coverage, ...placeInside({ width, height }, doc) });
      store.run(add(layer, selected), { selected: layer.id, mode: "layers" });
      store.say(t("notice.added", { name }));
    });
  }

  /** @param {File | null} file */
  const openFile = (file) => (file === null ? store.update({ sourceError: t("error.notAPicture") }) : open(file, nameOf(file), URL.createObjectURL(file)));

  return {
    openFile,

    /** A layer more, or the first picture of all. @param {File | null} file */
    addPicture: (file) => {
      if (store.state.doc.layers.length === 0) return openFile(file);
      return file === null ? store.say(t("error.notAPicture")) : addLayer(file);
    },

    /** @param {Sample} sample */
    openSample: async (sample) => {
      const address = `${base}/static/samples/${sample}.webp`;
      try {
        await open(await api.image(address), t(`sample.${sample}`), address);
      } catch (error) {
        store.update({ sourceError: messageOf(error) });
      }
    },

    /** @param {Partial<Settings>} settings */
    set: (settings) => store.update({ settings: { ...store.state.settings, ...settings } }),
  };
}
