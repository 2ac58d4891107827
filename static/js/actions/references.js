import { sendable } from "../images/files.js";

/** Put a file among the pictures that an edit takes something from. @param {File} file @param {Pick<Context, "api" | "store">} context @returns {Promise<Reference>} */
export async function keepReference(file, { api, store }) {
  const { blob } = await sendable(file, store.state.config?.limits);
  const { image } = await api.upload(blob);
  return { name: file.name.replace(/\.[^.]+$/, ""), image };
}
