import { fileOf, getJson, send, sendJson } from "./http.js";

/** @typedef {{name: string, document: any, thumbnail?: string | null}} Content */

/** Above this the browser refuses to send a request that outlives the page. */
const KEEPALIVE_BYTES = 60_000;

const at = (/** @type {string} */ id, rest = "") => `/api/projects/${encodeURIComponent(id)}${rest}`;

/** A thumbnail that is not known is left out. @param {Content & {version: number}} content */
const given = ({ thumbnail, ...content }) => (thumbnail ? { ...content, thumbnail } : content);

/** The projects that the server keeps. */
export const projects = {
  /** @returns {Promise<ProjectSummary[]>} newest first */
  list: async () => (await getJson("/api/projects")).projects,

  /** @returns {Promise<ProjectSummary[]>} the latest first */
  deleted: async () => (await getJson("/api/projects?deleted=true")).projects,

  /** @param {string} id @returns {Promise<FullProject>} */
  read: (id) => getJson(at(id)),

  /** @param {Content} content @returns {Promise<FullProject>} */
  create: async (content) => (await sendJson("POST", "/api/projects", content)).json(),

  /**
   * Refused with 409 when `version` is not the current one.
   * @param {string} id
   * @param {Content & {version: number}} content
   * @returns {Promise<Project>}
   */
  write: async (id, content) => (await sendJson("PUT", at(id), given(content))).json(),

  /** The same from a page that is going away, as far as it is short enough. @param {string} id @param {Content & {version: number}} content */
  writeLast: (id, content) => {
    if (JSON.stringify(content).length < KEEPALIVE_BYTES) sendJson("PUT", at(id), given(content), { keepalive: true }).catch(() => {});
  },

  /** @param {string} id @param {boolean} [forGood] */
  remove: (id, forGood = false) => send(at(id, forGood ? "?for_good=true" : ""), { method: "DELETE" }),

  /** @param {string} id */
  restore: (id) => send(at(id, "/restore"), { method: "POST" }),

  /** @param {string} id @param {string} name @returns {Promise<Project>} */
  duplicate: async (id, name) => (await sendJson("POST", at(id, "/duplicate"), { name })).json(),

  /** The project as a file, and how many of its pictures the server has lost. @param {string} id */
  file: async (id) => {
    const response = await send(at(id, "/file"));
    return { file: await fileOf(response), missing: Number(response.headers.get("X-Missing-Images") ?? 0) };
  },

  /** @param {Blob} file @param {string} name   of the project, where the file says none @returns {Promise<Project & {warnings: string[]}>} */
  importFile: async (file, name) =>
    (
      await send(`/api/projects/import?name=${encodeURIComponent(name)}`, {
        method: "POST",
        headers: { "Content-Type": "application/zip" },
        body: file,
      })
    ).json(),
};
