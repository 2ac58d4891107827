import { t } from "../i18n.js";
import { nameOf } from "../images/files.js";

/** A failed request; `message` can be shown to the user. */
export class ApiError extends Error {
  /** @param {string} message @param {{status?: number, code?: string, param?: string | null}} [about] */
  constructor(message, { status = 0, code = "unreachable", param = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** The text to show for any error. @param {unknown} error */
export const messageOf = (error) => (error instanceof ApiError ? error.message : t("error.unexpected"));

/** The server's code of an error. @param {unknown} error */
export const codeOf = (error) => (error instanceof ApiError ? error.code : "unexpected");

/** The invalid field of the request, if any. @param {unknown} error */
export const paramOf = (error) => (error instanceof ApiError ? error.param : null);

/** @param {unknown} error */
export const statusOf = (error) => (error instanceof ApiError ? error.status : -1);

/** Request a path of the service. @param {string} path @param {RequestInit} [init] */
export const send = (path, init) => ask(base + path, init);

/** Request an address from the service. @param {string} address @param {RequestInit} [init] */
export async function ask(address, init) {
  const response = await fetch(address, init).catch(() => null);
  if (response === null) throw new ApiError(t("error.unreachable"));
  if (response.ok) return response;
  if (response.status === 401) {
    // The login has expired: the page's own address asks for the token. Nothing after this may act on the failure.
    location.reload();
    return new Promise(() => {});
  }
  const problem = await response.json().catch(() => ({}));
  const message = problem.detail ?? problem.error?.message ?? t("error.status", { status: response.status });
  throw new ApiError(message, { status: response.status, code: problem.code ?? "error", param: problem.error?.param });
}

/** A response as a file with the server's name. @param {Response} response */
const fileOf = async (response) => new File([await response.blob()], nameOf(response.headers.get("Content-Disposition")));

/** @param {string} path */
const getJson = async (path) => (await send(path)).json();

/** @param {"POST" | "PUT"} method @param {string} path @param {object} body @param {RequestInit & {headers?: Record<string, string>}} [init] */
const sendJson = (method, path, body, { headers = {}, ...init } = {}) =>
  send(path, { method, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body), ...init });

/** The service's base path: "" at the root of its host, "/studio" behind a proxy with that prefix. */
export const base = new URL("../../..", import.meta.url).pathname.slice(0, -1);

/** @typedef {{name: string, document: any, thumbnail?: string | null}} Content */

/** The browser's limit for keepalive requests. */
const KEEPALIVE_BYTES = 60_000;

const at = (/** @type {string} */ id, rest = "") => `/api/projects/${encodeURIComponent(id)}${rest}`;

/** Omit an unknown thumbnail. @param {Content & {version: number}} content */
const given = ({ thumbnail, ...content }) => (thumbnail ? { ...content, thumbnail } : content);

/** The projects that the server keeps. */
const projects = {
  /** @returns {Promise<ProjectSummary[]>} newest first */
  list: async () => (await getJson("/api/projects")).projects,

  /** @returns {Promise<ProjectSummary[]>} the latest first */
  deleted: async () => (await getJson("/api/projects?deleted=true")).projects,

  /** @param {string} id @returns {Promise<FullProject>} */
  read: (id) => getJson(at(id)),

  /** @param {Content} content @returns {Promise<FullProject>} */
  create: async (content) => (await sendJson("POST", "/api/projects", content)).json(),

  /**
   * Refused with 409 if `version` is not the current one.
   * @param {string} id
   * @param {Content & {version: number}} content
   * @returns {Promise<Project>}
   */
  write: async (id, content) => (await sendJson("PUT", at(id), given(content))).json(),

  /** The same from a page that is being closed, if it is short enough. @param {string} id @param {Content & {version: number}} content */
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

/** @param {string} path @param {Wire.DecomposeRequest | Wire.EditLayerRequest} body @returns {Promise<Job>} */
const postJob = async (path, body) => (await sendJson("POST", path, body, { headers: { Prefer: "respond-async" } })).json();

/** The server's API; no other module calls it. */
export const api = {
  /** @returns {Promise<Status>} */
  status: () => getJson("/api/qwen-image/status"),

  /** @returns {Promise<Config>} */
  config: () => getJson("/api/qwen-image/config"),

  projects,

  /** End this browser's login, if there is one. */
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

  /** This browser's own, the newest first. @returns {Promise<Job[]>} */
  jobs: async () => (await getJson("/api/jobs?limit=50")).jobs,

  /** @param {string} id @returns {Promise<Job>} */
  job: (id) => getJson(`/api/jobs/${encodeURIComponent(id)}`),

  /** @param {string} id */
  cancel: (id) => send(`/api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }),

  /** @param {string} id */
  eventsUrl: (id) => `${base}/api/jobs/${encodeURIComponent(id)}/events`,

  /** @param {Wire.SelectRequest} body @param {AbortSignal} [signal] @returns {Promise<Wire.SelectResponse>} */
  select: async (body, signal) => (await sendJson("POST", "/api/qwen-image/select", body, { signal })).json(),

  /** @param {Wire.SelectLayerRequest} body @returns {Promise<Wire.SelectLayerResponse>} */
  selectLayer: async (body) => (await sendJson("POST", "/api/qwen-image/select/layer", body)).json(),

  /** @param {Wire.HarmonizeRequest} body @returns {Promise<Wire.HarmonizeResponse>} */
  harmonize: async (body) => (await sendJson("POST", "/api/qwen-image/harmonize", body)).json(),

  /** @param {Wire.ExportRequest} body */
  exportStack: async (body) => fileOf(await sendJson("POST", "/api/qwen-image/export", body)),

  /** @param {string} address */
  image: async (address) => (await ask(address)).blob(),
};

/** Load on first use. A failed load is repeated, because the server may be reachable later. @template T @param {() => Promise<T>} load */
export function onDemand(load) {
  /** @type {Promise<T> | null} */
  let loading = null;
  return () => {
    loading ??= load().catch((error) => {
      loading = null;
      throw error;
    });
    return loading;
  };
}

// Following jobs to their end.

const EVENTS = ["queued", "loading", "progress", "succeeded", "failed", "canceled"];
const POLL_MS = 800;
/** The browser reconnects by itself and requests missed events; after this many failures in a row we poll. */
const MAX_BREAKS = 3;
/** A stream that was open for this long worked: its end is not a failure, because servers end streams now and then. */
const LASTING_MS = 5000;

/** @param {Job} job */
export const isOver = (job) => job.status === "succeeded" || job.status === "failed" || job.status === "canceled";

/**
 * @typedef {object} Followers
 * @property {(job: Job) => void} onJob     every state, the last one terminal
 * @property {(layer: number, url: string) => void} onPreview
 * @property {() => void} onLost            the server does not know the job
 */

/**
 * Follow a job to its end: by server-sent events, or by polling if those do not work.
 *
 * @param {Api} api
 * @param {string} id
 * @param {Followers} followers
 * @returns {() => void} what stops it
 */
export function followJob(api, id, { onJob, onPreview, onLost }) {
  const source = new EventSource(api.eventsUrl(id));
  const stopped = new AbortController();
  stopped.signal.addEventListener("abort", () => source.close());
  let [breaks, openedAt] = [0, 0];
  source.addEventListener("open", () => (openedAt = Date.now()));

  /** @param {MessageEvent<string>} event */
  function receive(event) {
    breaks = 0;
    const job = /** @type {Job} */ (JSON.parse(event.data));
    if (isOver(job)) source.close();
    onJob(job);
  }

  for (const name of EVENTS) source.addEventListener(name, receive);
  source.addEventListener("preview", (event) => {
    const { layer, url } = JSON.parse(event.data);
    onPreview(layer, url);
  });
  source.addEventListener("error", () => {
    breaks = openedAt > 0 && Date.now() - openedAt > LASTING_MS ? 1 : breaks + 1;
    openedAt = 0;
    if (stopped.signal.aborted || (source.readyState !== EventSource.CLOSED && breaks < MAX_BREAKS)) return;
    source.close();
    poll(api, id, onJob, onLost, stopped.signal);
  });
  return () => stopped.abort();
}

/**
 * @param {Api} api
 * @param {string} id
 * @param {Followers["onJob"]} onJob
 * @param {Followers["onLost"]} onLost
 * @param {AbortSignal} stopped
 */
async function poll(api, id, onJob, onLost, stopped) {
  while (!stopped.aborted) {
    try {
      const job = await api.job(id);
      if (stopped.aborted) return;
      onJob(job);
      if (isOver(job)) return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) return onLost();
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
