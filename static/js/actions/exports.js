// @ts-check
import { t } from "../i18n.js";
import { saveFile } from "../images/files.js";
import { messageOf } from "../transport/api.js";
import { stackOf } from "../transport/stack.js";

const SUFFIXES = /** @type {Record<string, string>} */ ({ jpeg: "jpg" });
const FLAT = ["png", "jpeg", "webp"];

/** Taking the work home. @param {import("./start.js").Context} context */
export function createExports({ store, api }) {
  return {
    /** @param {string} format */
    exportStack: async (format) => {
      const { doc, project, exporting } = store.state;
      if (exporting !== null || doc.layers.length === 0) return;
      store.update({ exporting: format });
      try {
        const body = { layers: stackOf(doc), width: doc.width, height: doc.height, format };
        saveFile(await api.exportStack(body), fileName(project?.name ?? doc.picture?.name ?? "", format));
        store.update({ exporting: null });
      } catch (error) {
        store.update({ exporting: null, notice: { text: messageOf(error), action: null } });
      }
    },

    /** @param {import("../types.js").Layer} layer */
    saveLayer: async (layer) => {
      try {
        saveFile(await api.image(layer.image), `${stem(layer.name) || "layer"}.png`);
      } catch (error) {
        store.update({ notice: { text: messageOf(error), action: null } });
      }
    },
  };
}

/** @param {string} name */
const stem = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

/** @param {string} name @param {string} format */
function fileName(name, format) {
  const what = FLAT.includes(format) ? t("file.composite") : t("file.layers");
  return [stem(name), `${what}.${SUFFIXES[format] ?? format}`].filter(Boolean).join("-");
}
