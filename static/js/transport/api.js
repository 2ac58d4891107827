// @ts-check
import { strings } from "../strings.js";

/** A request that failed; `message` is fit to be shown. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string}} [about]
   */
  constructor(message, { status = 0, code = "unreachable" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The text to show for whatever was thrown. @param {unknown} error */
export function messageOf(error) {
  return error instanceof ApiError ? error.message : strings.errors.unexpected;
}

/** Which error it is, as the server names it. @param {unknown} error */
export const codeOf = (error) => (error instanceof ApiError ? error.code : "unexpected");

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
async function send(path, init) {
  const response = await fetch(path, init).catch(() => null);
  if (response === null) throw new ApiError(strings.errors.unreachable);
  if (response.ok) return response;
  if (response.status === 401) {
    // The login no longer holds: the page's own address asks for the token. Nothing after this may act on the failure.
    location.reload();
    return new Promise(() => {});
  }
  const problem = await response.json().catch(() => ({}));
  const message = problem.detail ?? problem.error?.message ?? strings.errors.status(response.status);
  throw new ApiError(message, { status: response.status, code: problem.code ?? "error" });
}

/** @param {string} path */
const getJson = async (path) => (await send(path)).json();

/**
 * @param {string} path
 * @param {object} body
 * @param {Record<string, string>} [headers]
 */
const post = (path, body, headers = {}) =>
  send(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<import("../types.js").Job>}
 */
const postJob = async (path, body) => (await post(path, body, { Prefer: "respond-async" })).json();

/** The server, and the only place that calls it. */
export const api = {
  /** @returns {Promise<import("../types.js").Status>} */
  status: () => getJson("/api/qwen-image/status"),

  /**
   * Store a picture as it is; the server turns and converts it.
   * @param {Blob} blob
   * @returns {Promise<{image: string, width: number, height: number}>}
   */
  upload: async (blob) =>
    (await send("/api/images", { method: "POST", headers: { "Content-Type": blob.type }, body: blob })).json(),

  /** @param {object} body */
  decompose: (body) => postJob("/api/qwen-image/decompose", body),

  /** @param {object} body */
  editLayer: (body) => postJob("/api/qwen-image/edit-layer", body),

  /**
   * @param {string} id
   * @returns {Promise<import("../types.js").Job>}
   */
  job: (id) => getJson(`/api/jobs/${encodeURIComponent(id)}`),

  /** @param {string} id */
  cancel: (id) => send(`/api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }),

  /** @param {string} id */
  eventsUrl: (id) => `/api/jobs/${encodeURIComponent(id)}/events`,

  /** @param {object} body */
  exportStack: async (body) => (await post("/api/qwen-image/export", body)).blob(),

  /** @param {string} address */
  image: async (address) => (await send(address)).blob(),
};

/** @typedef {typeof api} Api */
