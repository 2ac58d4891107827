import { t } from "../i18n.js";
import { findLayer } from "../state/doc.js";
import { atWork } from "../state/initial.js";
import { noteJob } from "../state/snapshot.js";
import { ApiError, followJob, isOver, messageOf } from "../transport/api.js";
import { announceEnd } from "./notifying.js";

/** @typedef {(job: Job, purpose: any) => void} Finish */

/** The jobs of the current project: followed to their end, found again after a reload. @param {Context} context */
export function createJobs({ store, api }) {
  /** @type {Record<Purpose["kind"], Finish>} */
  let finish;
  /** @type {Map<string, () => void>} what stops following a job */
  const followed = new Map();
  /** @type {Map<string, Job>} jobs that ended before the last event of an earlier run of their layer arrived: each job has its own stream */
  const early = new Map();
  /** @type {Map<string, number>} when this page began to follow a job, in ms */
  const begun = new Map();

  /** @param {string} id @param {Partial<TrackedJob>} patch */
  function patch(id, patch) {
    const tracked = store.state.jobs[id];
    if (tracked !== undefined) store.update({ jobs: { ...store.state.jobs, [id]: { ...tracked, ...patch } } });
  }

  /** @param {Job} job */
  function receive(job) {
    const tracked = store.state.jobs[job.id];
    if (tracked === undefined) return;
    if (!isOver(job)) return patch(job.id, { job, ...(goesOn(tracked.job, job) ? { movedAt: Date.now() } : {}) });
    stop(job.id);
    if (job.status === "succeeded" && isBehind(job.id, tracked.purpose)) return void early.set(job.id, job);
    end(job, tracked);
    for (const [id, other] of early) {
      const waiting = store.state.jobs[id];
      if (waiting !== undefined && isBehind(id, waiting.purpose)) continue;
      early.delete(id);
      if (waiting !== undefined) end(other, waiting);
    }
  }

  /** Whether an earlier edit of the same layer is unfinished: the server runs them in order, which is that of versions. @param {string} id @param {Purpose} purpose */
  function isBehind(id, purpose) {
    return purpose.kind === "edit" && atWork(store.state, "edit", purpose.layerId)[0].job.id !== id;
  }

  /** @param {Job} job @param {TrackedJob} tracked */
  function end(job, tracked) {
    const { [job.id]: _, ...jobs } = store.state.jobs;
    store.update({ jobs });
    announceEnd(store, job, (Date.now() - (begun.get(job.id) ?? 0)) / 1000);
    begun.delete(job.id);
    if (job.status === "canceled" && tracked.purpose.kind !== "edit") store.say(t("notice.canceled"));
    else finish[tracked.purpose.kind](job, tracked.purpose);
  }

  /** @param {string} id */
  function stop(id) {
    followed.get(id)?.();
    followed.delete(id);
  }

  /** @param {string} id */
  function follow(id) {
    stop(id);
    if (!begun.has(id)) begun.set(id, Date.now());
    const onPreview = (/** @type {number} */ layer, /** @type {string} */ url) =>
      patch(id, { previews: { ...store.state.jobs[id]?.previews, [layer]: url } });
    const onLost = () => {
      const job = store.state.jobs[id]?.job;
      if (job) receive({ ...job, status: "failed", error: { message: t("job.lost"), code: "lost", type: "server_error", param: null } });
    };
    followed.set(id, followJob(api, id, { onJob: receive, onPreview, onLost }));
  }

  /** The job's entry in the list of jobs, also for other tabs and projects. @param {string} id @param {Purpose} purpose */
  function note(id, purpose) {
    const { project, doc } = store.state;
    if (project === null) return;
    const own = { project: project.id, projectName: project.name };
    if (purpose.kind === "decompose") return void noteJob(id, own);
    const { layerId } = purpose;
    const about = purpose.kind === "edit" ? { instruction: purpose.instruction } : {};
    noteJob(id, { ...own, layerId, name: findLayer(doc, layerId)?.name ?? t("job.someLayer"), ...about });
  }

  return {
    /** @param {Record<Purpose["kind"], Finish>} handlers */
    onEnd: (handlers) => {
      finish = handlers;
    },

    /** @param {Job} job @param {Purpose} purpose */
    track: (job, purpose) => {
      const tracked = { job, purpose, canceling: false, movedAt: Date.now(), previews: {} };
      store.update({ jobs: { ...store.state.jobs, [job.id]: tracked } });
      note(job.id, purpose);
      follow(job.id);
    },

    /** Reconnect to every job: after a reload, and when a phone wakes up without connections. */
    wake: () => {
      for (const id of Object.keys(store.state.jobs)) follow(id);
    },

    /** Stop following the jobs; they continue, and are found again later. */
    leave: () => {
      for (const id of [...followed.keys()]) stop(id);
    },

    /** Returns at once; the server's `canceled` event follows. @param {string} id */
    cancel: async (id) => {
      patch(id, { canceling: true });
      try {
        await api.cancel(id);
      } catch (error) {
        patch(id, { canceling: false });
        // A job that is already over needs no message: its last event follows.
        if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
        store.say(messageOf(error));
      }
    },
  };
}

/** Whether a job has made progress. @param {Job} before @param {Job} now */
const goesOn = (before, now) =>
  before.step !== now.step || before.phase !== now.phase || before.status !== now.status || before.position !== now.position;
