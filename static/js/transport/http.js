import { nameOf } from "../file-names.js";
import { t } from "../i18n.js";

/** A request that failed; `message` is fit to be shown. */
export class ApiError extends Error {
  /** @param {string} message @param {{status?: number, code?: string, param?: string | null}} [about] */
  constructor(message, { status = 0, code = "unreachable", param = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** The text to show for whatever was thrown. @param {unknown} error */
export const messageOf = (error) => (error instanceof ApiError ? error.message : t("error.unexpected"));

/** Which error it is, as the server names it. @param {unknown} error */
export const codeOf = (error) => (error instanceof ApiError ? error.code : "unexpected");

/** The field of the request that is wrong, if it is one. @param {unknown} error */
export const paramOf = (error) => (error instanceof ApiError ? error.param : null);

/** @param {unknown} error */
export const statusOf = (error) => (error instanceof ApiError ? error.status : -1);

/** Ask for a path of the service. @param {string} path @param {RequestInit} [init] */
export const send = (path, init) => ask(base + path, init);

/** Ask for an address as the service gave it. @param {string} address @param {RequestInit} [init] */
export async function ask(address, init) {
  const response = await fetch(address, init).catch(() => null);
  if (response === null) throw new ApiError(t("error.unreachable"));
  if (response.ok) return response;
  if (response.status === 401) {
    // The login no longer holds: the page's own address asks for the token. Nothing after this may act on the failure.
    location.reload();
    return new Promise(() => {});
  }
  const problem = await response.json().catch(() => ({}));
  const message = problem.detail ?? problem.error?.message ?? t("error.status", { status: response.status });
  throw new ApiError(message, { status: response.status, code: problem.code ?? "error", param: problem.error?.param });
}

/** What comes as a file, under the name that the server gives it. @param {Response} response */
export const fileOf = async (response) => new File([await response.blob()], nameOf(response.headers.get("Content-Disposition")));

/** @param {string} path */
export const getJson = async (path) => (await send(path)).json();

/** @param {"POST" | "PUT"} method @param {string} path @param {object} body @param {RequestInit & {headers?: Record<string, string>}} [init] */
export const sendJson = (method, path, body, { headers = {}, ...init } = {}) =>
  send(path, { method, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body), ...init });

/** The path below which this page's service is: "" at the root of its host, "/studio" behind a proxy that has it there. */
export const base = new URL("../../..", import.meta.url).pathname.slice(0, -1);
