import { t } from "../i18n.js";
import { flatten } from "../images/flatten.js";
import { messageOf } from "../transport/api.js";

/** Pictures to the clipboard, where the browser lets a page do that. @param {Context} context */
export function createClipboard({ store, api, bitmaps }) {
  /** @param {Promise<Blob>} picture @param {() => void} save   what can be done instead */
  async function copy(picture, save) {
    // On plain HTTP from another host there is no clipboard to write to.
    if (navigator.clipboard?.write === undefined) {
      return store.say(t("notice.cannotCopy"), { label: t("notice.savePng"), run: save });
    }
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
      return store.say(t("notice.copied"));
    } catch (error) {
      return store.say(messageOf(error), { label: t("notice.savePng"), run: save });
    }
  }

  return {
    /** @param {Layer} layer @param {() => void} save */
    copyLayer: (layer, save) => copy(api.image(layer.image), save),

    /** @param {() => void} save */
    copyPicture: (save) => {
      const { doc } = store.state;
      if (doc.layers.length > 0) copy(flatten(doc.layers, doc, bitmaps).then((picture) => picture.toBlob()), save);
    },
  };
}
