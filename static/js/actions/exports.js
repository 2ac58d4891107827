import { t } from "../i18n.js";
import { flatten } from "../images/compositor.js";
import { fileStem, saveFile } from "../images/files.js";
import { stackOf } from "../state/doc.js";
import { messageOf } from "../transport/api.js";

/** Taking the work home, as a file or to the clipboard. @param {Context} context */
export function createExports({ store, api, bitmaps, tryTo }) {
  /** @param {ExportFormat} format @param {TextForm} [text]   what lines of type become */
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

  /** @param {Promise<Blob>} picture @param {() => void} save   what can be done where the browser lets no page do this */
  async function copy(picture, save) {
    const instead = { label: t("notice.savePng"), run: save };
    // On plain HTTP from another host there is no clipboard to write to.
    if (navigator.clipboard?.write === undefined) return store.say(t("notice.cannotCopy"), instead);
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
      return store.say(t("notice.copied"));
    } catch (error) {
      return store.say(messageOf(error), instead);
    }
  }

  return {
    exportStack,
    saveLayer,

    /** @param {Layer} layer */
    copyLayer: (layer) => copy(api.image(layer.image), () => saveLayer(layer)),

    copyPicture: () => {
      const { doc } = store.state;
      if (doc.layers.length > 0)
        copy(
          flatten(doc.layers, doc, bitmaps).then((picture) => picture.toBlob()),
          () => exportStack("png"),
        );
    },
  };
}
