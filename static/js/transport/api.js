import { ask, base, fileOf, getJson, send, sendJson } from "./http.js";
import { projects } from "./projects.js";

export { ApiError, codeOf, messageOf, paramOf, statusOf } from "./http.js";

/** @param {string} path @param {Wire.DecomposeRequest | Wire.EditLayerRequest} body @returns {Promise<Job>} */
const postJob = async (path, body) => (await sendJson("POST", path, body, { headers: { Prefer: "respond-async" } })).json();

/** The server, and the only place that calls it. */
export const api = {
  /** @returns {Promise<Status>} */
  status: () => getJson("/api/qwen-image/status"),

  /** @returns {Promise<Config>} */
  config: () => getJson("/api/qwen-image/config"),

  projects,

  /** Forget this browser's login, where there is one. */
  logOut: () => send("/logout", { method: "POST" }),

  /**
   * Store a picture as it is; the server turns and converts it.
   * @param {Blob} blob
   * @returns {Promise<Wire.KeptImageResponse>}
   */
  upload: async (blob) => (await send("/api/images", { method: "POST", headers: { "Content-Type": blob.type }, body: blob })).json(),

  /** @param {Wire.DecomposeRequest} body */
  decompose: (body) => postJob("/api/qwen-image/decompose", body),

  /** @param {Wire.EditLayerRequest} body */
  editLayer: (body) => postJob("/api/qwen-image/edit-layer", body),

  /** @param {string} id @returns {Promise<Job>} */
  job: (id) => getJson(`/api/jobs/${encodeURIComponent(id)}`),

  /** @param {string} id */
  cancel: (id) => send(`/api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }),

  /** @param {string} id */
  eventsUrl: (id) => `${base}/api/jobs/${encodeURIComponent(id)}/events`,

  /** @param {Wire.SelectRequest} body @param {AbortSignal} signal @returns {Promise<Wire.SelectResponse>} */
  select: async (body, signal) => (await sendJson("POST", "/api/qwen-image/select", body, { signal })).json(),

  /** @param {Wire.SelectLayerRequest} body @returns {Promise<Wire.SelectLayerResponse>} */
  selectLayer: async (body) => (await sendJson("POST", "/api/qwen-image/select/layer", body)).json(),

  /** @param {Wire.ExportRequest} body */
  exportStack: async (body) => fileOf(await sendJson("POST", "/api/qwen-image/export", body)),

  /** @param {string} address */
  image: async (address) => (await ask(address)).blob(),
};
