import { t } from "../i18n.js";
import { saveFile } from "../images/files.js";
import { stackOf } from "../transport/stack.js";

const SUFFIXES = /** @type {Record<string, string>} */ ({ jpeg: "jpg" });
const FLAT = ["png", "jpeg", "webp"];

/** Taking the work home. @param {Context} context */
export function createExports({ store, api, tryTo }) {
  return {
    /** @param {string} format */
    exportStack: async (format) => {
      const { doc, project, exporting } = store.state;
      if (exporting !== null || doc.layers.length === 0) return;
      const { width, height } = doc;
      store.update({ exporting: format });
      await tryTo(async () => saveFile(await api.exportStack({ layers: stackOf(doc), width, height, format }), fileName(project?.name ?? doc.picture?.name ?? "", format)));
      store.update({ exporting: null });
    },

    /** @param {Layer} layer */
    saveLayer: ({ image, name }) => tryTo(async () => saveFile(await api.image(image), `${stem(name) || "layer"}.png`)),
  };
}

/** @param {string} name */
const stem = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

/** @param {string} name @param {string} format */
function fileName(name, format) {
  const what = FLAT.includes(format) ? t("file.composite") : t("file.layers");
  return [stem(name), `${what}.${SUFFIXES[format] ?? format}`].filter(Boolean).join("-");
}
