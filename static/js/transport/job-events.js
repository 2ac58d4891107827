import { ApiError } from "./api.js";

const EVENTS = ["queued", "loading", "progress", "succeeded", "failed", "canceled"];
const POLL_MS = 800;
/** The browser reconnects by itself and asks for what it missed; after so many failures in a row we poll. */
const MAX_BREAKS = 3;
/** A stream that was open for so long got through: that it ended, as servers end streams now and then, is no failure. */
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
 * Follow a job to its end: by server-sent events, or by polling where those do not get through.
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
