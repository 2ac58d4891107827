// @ts-check
import { commit } from "../state/history.js";
import { EMPTY_PROJECT } from "../state/initial.js";
import { uploadable } from "../images/files.js";
import { messageOf } from "../transport/api.js";
import { strings } from "../strings.js";

/** Bringing a picture in. @param {import("./actions.js").Context} context */
export function createPicture({ store, api }) {
  let latest = 0;

  /**
   * Show a picture at once and store it on the server; of several in a row the last one counts.
   * @param {Blob & {name?: string}} file
   * @param {string} name
   * @param {string} preview
   */
  async function open(file, name, preview) {
    latest += 1;
    const mine = latest;
    store.update({ upload: { name, preview, error: null }, sourceError: null, notice: null });
    try {
      const stored = await api.upload(await uploadable(new File([file], name, { type: file.type })));
      if (mine !== latest) return;
      const picture = { name, image: stored.image, width: stored.width, height: stored.height };
      const project = { ...EMPTY_PROJECT, picture, width: stored.width, height: stored.height };
      store.update({
        ...commit(store.state, strings.steps.picture, project),
        upload: null,
        selected: null,
        mode: "layers",
        fidelity: null,
        stageError: null,
      });
    } catch (error) {
      if (mine === latest) store.update({ upload: null, sourceError: messageOf(error) });
    } finally {
      if (preview.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(preview), 1000);
    }
  }

  return {
    /** @param {File | null} file */
    openFile: (file) => {
      if (file === null) return store.update({ sourceError: strings.errors.notAPicture });
      const name = file.name.replace(/\.[^.]+$/, "") || strings.files.pasted;
      return open(file, name, URL.createObjectURL(file));
    },

    /** @param {keyof typeof strings.samples} sample */
    openSample: async (sample) => {
      const address = `/static/samples/${sample}.webp`;
      try {
        await open(await api.image(address), strings.samples[sample], address);
      } catch (error) {
        store.update({ sourceError: messageOf(error) });
      }
    },

    /** @param {Partial<import("../types.js").Settings>} settings */
    set: (settings) => store.update({ settings: { ...store.state.settings, ...settings } }),
  };
}
