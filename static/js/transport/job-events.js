// @ts-check
import { ApiError } from "./api.js";

/** @typedef {import("../types.js").Job} Job */

const EVENTS = ["queued", "loading", "progress", "preview", "succeeded", "failed", "canceled"];
const POLL_MS = 800;
/** The browser reconnects by itself and asks for what it missed; after so many failures in a row we poll. */
const MAX_BREAKS = 3;

/** @param {Job} job */
export const isOver = (job) => job.status === "succeeded" || job.status === "failed" || job.status === "canceled";

/**
 * Follow a job to its end: by server-sent events, or by polling where those do not get through.
 *
 * @param {import("./api.js").Api} api
 * @param {string} id
 * @param {(job: Job) => void} onJob     called with every state, the last one terminal
 * @param {(error: ApiError) => void} onLost   called when the server does not know the job
 */
export function followJob(api, id, onJob, onLost) {
  const source = new EventSource(api.eventsUrl(id));
  let breaks = 0;

  /** @param {MessageEvent<string>} event */
  function receive(event) {
    breaks = 0;
    const job = /** @type {Job} */ (JSON.parse(event.data));
    if (isOver(job)) source.close();
    onJob(job);
  }

  for (const name of EVENTS) source.addEventListener(name, receive);
  source.addEventListener("error", () => {
    breaks += 1;
    if (source.readyState !== EventSource.CLOSED && breaks < MAX_BREAKS) return;
    source.close();
    poll(api, id, onJob, onLost);
  });
}

/**
 * @param {import("./api.js").Api} api
 * @param {string} id
 * @param {(job: Job) => void} onJob
 * @param {(error: ApiError) => void} onLost
 */
async function poll(api, id, onJob, onLost) {
  for (;;) {
    try {
      const job = await api.job(id);
      onJob(job);
      if (isOver(job)) return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) return onLost(error);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
