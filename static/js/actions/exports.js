import { t } from "../i18n.js";
import { flatten } from "../images/compositor.js";
import { fileStem, saveFile } from "../images/files.js";
import { stackOf } from "../state/doc.js";
import { messageOf } from "../transport/api.js";

/** Exports to files, to the clipboard and to other apps. @param {Context} context */
export function createExports({ store, api, bitmaps, tryTo }) {
  /** @param {ExportFormat} format @param {TextForm} [text]   the form of lines of type */
  async function exportStack(format, text = "picture") {
    const { doc, project, exporting } = store.state;
    if (exporting !== null || doc.layers.length === 0) return;
    const { width, height } = doc;
    store.update({ exporting: format });
    await tryTo(async () =>
      saveFile(
        await api.exportStack({
          layers: stackOf(doc),
          groups: doc.groups,
          width,
          height,
          format,
          text,
          name: project?.name ?? doc.picture?.name ?? "",
        }),
      ),
    );
    store.update({ exporting: null });
  }

  /** @param {Layer} layer */
  const saveLayer = ({ image, name }) => tryTo(async () => saveFile(new File([await api.image(image)], `${fileStem(name, "layer")}.png`)));

  /** @param {Promise<Blob>} picture @param {() => void} save   the alternative if the browser does not allow this */
  async function copy(picture, save) {
    const instead = { label: t("notice.savePng"), run: save };
    // Browsers have no clipboard API on plain HTTP from another host.
    if (navigator.clipboard?.write === undefined) return store.say(t("notice.cannotCopy"), instead);
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
      return store.say(t("notice.copied"));
    } catch (error) {
      return store.say(messageOf(error), instead);
    }
  }

  /** Share a picture with another app of the device. @param {File} file */
  async function share(file) {
    try {
      await navigator.share({ files: [file] });
    } catch (error) {
      const { name } = /** @type {Error} */ (error);
      if (name === "AbortError") return; // the user canceled
      // User activation lasts a few seconds: after a longer preparation another press is needed.
      if (name === "NotAllowedError") store.say(t("notice.shareReady"), { label: t("export.share"), run: () => share(file) });
      else store.say(t("notice.cannotShare"), { label: t("notice.savePng"), run: () => saveFile(file) });
    }
  }

  /** @param {Promise<Blob>} picture @param {string} name */
  const sharePng = (picture, name) =>
    tryTo(async () => share(new File([await picture], `${fileStem(name, "picture")}.png`, { type: "image/png" })));

  const flat = () => flatten(store.state.doc.layers, store.state.doc, bitmaps).then((picture) => picture.toBlob());

  return {
    exportStack,
    saveLayer,

    /** Whether pictures can be shared; browsers support it only on https:// and localhost. */
    canShare: () => navigator.canShare?.({ files: [new File([], "picture.png", { type: "image/png" })] }) === true,

    /** @param {Layer} layer */
    shareLayer: ({ image, name }) => sharePng(api.image(image), name),

    sharePicture: () => {
      const { doc, project } = store.state;
      return sharePng(flat(), project?.name ?? doc.picture?.name ?? "");
    },

    /** @param {Layer} layer */
    copyLayer: (layer) => copy(api.image(layer.image), () => saveLayer(layer)),

    copyPicture: () => {
      if (store.state.doc.layers.length > 0) copy(flat(), () => exportStack("png"));
    },
  };
}
