// @ts-check
import { ApiError, messageOf } from "../transport/api.js";
import { followJob, isOver } from "../transport/job-events.js";
import { strings } from "../strings.js";

/**
 * @typedef {import("../types.js").Job} Job
 * @typedef {import("../types.js").Purpose} Purpose
 * @typedef {(job: Job, purpose: any) => void} Finish
 */

/** The jobs of this page: followed to their end, found again after a reload. @param {import("./actions.js").Context} context */
export function createJobs({ store, api }) {
  /** @type {Record<Job["kind"], Finish>} */
  let finish;

  /** @param {string} id @param {Partial<import("../types.js").TrackedJob>} patch */
  function patch(id, patch) {
    const tracked = store.state.jobs[id];
    if (tracked !== undefined) store.update({ jobs: { ...store.state.jobs, [id]: { ...tracked, ...patch } } });
  }

  /** @param {Job} job */
  function receive(job) {
    const tracked = store.state.jobs[job.id];
    if (tracked === undefined) return;
    if (!isOver(job)) return patch(job.id, { job });
    const { [job.id]: _, ...jobs } = store.state.jobs;
    store.update({ jobs });
    finish[tracked.purpose.kind](job, tracked.purpose);
  }

  /** @param {string} id */
  function follow(id) {
    followJob(api, id, receive, () => {
      const job = store.state.jobs[id]?.job;
      if (job) receive({ ...job, status: "failed", error: { message: strings.job.lost, code: "lost" } });
    });
  }

  return {
    /** @param {Record<Job["kind"], Finish>} handlers */
    onEnd: (handlers) => {
      finish = handlers;
    },

    /** @param {Job} job @param {Purpose} purpose */
    track: (job, purpose) => {
      store.update({ jobs: { ...store.state.jobs, [job.id]: { job, purpose, canceling: false } } });
      follow(job.id);
    },

    resume: () => {
      for (const id of Object.keys(store.state.jobs)) follow(id);
    },

    /** Answers at once; the server's `canceled` event follows. @param {string} id */
    cancel: async (id) => {
      patch(id, { canceling: true });
      try {
        await api.cancel(id);
      } catch (error) {
        patch(id, { canceling: false });
        // A job that is over already needs no word about it: its last event is on the way.
        if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
        store.update({ notice: { text: messageOf(error), action: null } });
      }
    },
  };
}

/** @typedef {ReturnType<typeof createJobs>} Jobs */
