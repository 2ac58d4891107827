// @ts-check
import { stackOf } from "../state/project.js";
import { saveFile } from "../images/files.js";
import { messageOf } from "../transport/api.js";
import { strings } from "../strings.js";

/** Taking the work home. @param {import("./actions.js").Context} context */
export function createExports({ store, api }) {
  return {
    /** @param {"zip" | "png"} format */
    exportStack: async (format) => {
      const { project, exporting } = store.state;
      if (exporting !== null || project.layers.length === 0) return;
      store.update({ exporting: format });
      try {
        const body = { layers: stackOf(project), width: project.width, height: project.height, format };
        saveFile(await api.exportStack(body), fileName(project.picture?.name ?? "", format));
        store.update({ exporting: null });
      } catch (error) {
        store.update({ exporting: null, notice: { text: messageOf(error), action: null } });
      }
    },
  };
}

/**
 * @param {string} picture
 * @param {"zip" | "png"} format
 */
function fileName(picture, format) {
  const stem = picture.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  return stem === "" ? strings.files[format] : `${stem}-${strings.files[format]}`;
}
