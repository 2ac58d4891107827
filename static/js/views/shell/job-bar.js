import { h, setAttribute, setText } from "../../dom.js";
import { bytesOf, duration, layerCount, percent, size, t } from "../../i18n.js";
import { findLayer } from "../../state/doc.js";
import { engineState } from "../../state/initial.js";

const LOOK_MS = 5000;

/** The running job, or a summary of the document, at the foot of the page. @param {Actions} actions @param {() => void} openJobs @returns {View} */
export function createJobBar(actions, openJobs) {
  /** @type {TrackedJob | undefined} */
  let tracked;
  const title = h("strong.job-title");
  const bar = progressBar();
  const detail = h("span.job-detail.number");
  const more = h("button.button.small.number.job-more", { title: t("jobs.title"), onclick: openJobs });
  const cancel = h("button.button.small", { onclick: () => tracked && actions.cancelJob(tracked.job.id) }, t("job.cancel"));
  const facts = h("p.job-facts.hint.number");
  const work = h("div.job-work", title, bar.element, detail, more, cancel);
  const element = h("footer.job-bar", facts, work);

  function describe() {
    if (tracked === undefined) return;
    const stall = stallOf(tracked);
    element.classList.toggle("stalled", stall !== null);
    setText(detail, stall ?? describeJob(tracked));
    setAttribute(detail, "title", detail.textContent);
  }
  setInterval(describe, LOOK_MS);

  return {
    element,
    render: (state) => {
      const jobs = Object.values(state.jobs);
      tracked = jobs.find(({ job }) => job.status === "processing") ?? jobs[0];
      facts.hidden = tracked !== undefined;
      work.hidden = tracked === undefined;
      setText(facts, factsOf(state));
      document.title = pageTitle(state, tracked);
      if (tracked === undefined) return;
      setText(title, titleOf(state, tracked));
      setText(more, jobs.length > 1 ? t("job.more", { count: jobs.length - 1 }) : t("jobs.title"));
      bar.set(shareOf(tracked));
      cancel.disabled = tracked.canceling;
      describe();
    },
  };
}

/** @param {State} state */
function factsOf(state) {
  const { doc } = state;
  if (doc.picture === null) return idleWords(state);
  const parts = [doc.picture.name, size(doc.width, doc.height)];
  if (doc.layers.length > 0) parts.push(layerCount(doc.layers.length), doc.seed === null ? "" : t("job.seed", { seed: doc.seed }));
  return parts.filter(Boolean).join(" · ");
}

/** @param {State} state @param {TrackedJob | undefined} tracked */
function pageTitle({ project, unseen }, tracked) {
  // Progress of loading the model is not progress of the work.
  const share = /^(down)?loading/.test(tracked?.job.phase ?? "") ? null : shareOf(tracked);
  const title = project === null ? t("name") : `${project.name} · ${t("name")}`;
  if (share !== null) return `${percent(Math.round(share * 100) / 100)} · ${title}`;
  return unseen === null ? title : `${t(`notify.title.${unseen}`)} · ${title}`;
}

/** @param {State} state @param {TrackedJob} tracked */
function titleOf(state, { purpose }) {
  if (purpose.kind === "decompose") return t("job.decompose");
  const name = findLayer(state.doc, purpose.layerId)?.name ?? t("job.someLayer");
  return t(purpose.kind === "split" ? "job.split" : "job.edit", { name });
}

/** The text at the foot of an idle page. @param {State} state */
export function idleWords({ status, reachable }) {
  const { running = 0, length = 0 } = status?.queue ?? {};
  if (reachable && running + length > 0) return t("job.idle.busy", { running, waiting: length });
  return t(`job.idle.${engineState(status, reachable)}`);
}

/** The silence of a running job after which it is mentioned. */
const STALLED_MS = 45_000;

/** A progress bar, or an indeterminate one. */
export function progressBar() {
  const fill = h("div");
  const element = h(
    "div.progress",
    { role: "progressbar", "aria-label": t("job.progress"), "aria-valuemin": 0, "aria-valuemax": 100 },
    fill,
  );
  /** @param {number | null} share */
  const set = (share) => {
    element.classList.toggle("waiting", share === null);
    fill.style.width = share === null ? "" : `${share * 100}%`;
    setAttribute(element, "aria-valuenow", share === null ? null : Math.round(share * 100));
  };
  return { element, set };
}

/** How much of a job is done, 0–1, or null while it waits. @param {Pick<TrackedJob, "job"> | undefined} tracked */
export function shareOf(tracked) {
  if (tracked === undefined || tracked.job.status !== "processing" || tracked.job.total === 0) return null;
  return tracked.job.step / tracked.job.total;
}

/** A job's state in words. @param {Pick<TrackedJob, "job" | "canceling"> | undefined} tracked */
export function describeJob(tracked) {
  if (tracked === undefined) return t("job.sending");
  if (tracked.canceling) return t("job.canceling");
  const { status, phase, step, total, eta_s: eta, position } = tracked.job;
  if (status === "queued") return queuedWords(position);
  const parts = [phaseWords(phase)];
  if (total > 0) parts.push(phase === "downloading" ? bytesOf(step, total) : t("job.step", { step: Math.min(step + 1, total), total }));
  if (eta !== null && eta > 0) parts.push(t("job.left", { time: duration(eta) }));
  return parts.join(" · ");
}

/** @param {number | null} position */
function queuedWords(position) {
  if (position === null) return t("job.queued");
  return position <= 1 ? t("job.queuedNext") : t("job.queuedAhead", { count: position - 1 });
}

const PHASES = /** @type {const} */ ([
  "starting",
  "waiting",
  "assigning",
  "downloading",
  "loading",
  "captioning",
  "encoding",
  "denoising",
  "decoding",
  "restoring",
  "segmenting",
  "grouping",
  "ordering",
  "matting",
  "filling",
  "composing",
]);

/** Phases of an edit by the classical engine are too short to be read. @param {string | null} phase */
const phaseWords = (phase) => t(`job.phase.${PHASES.find((name) => name === (phase || "starting")) ?? "other"}`);

/** A job's silence in words, once it is long enough. A model that reports no steps is silent until it is done. @param {TrackedJob} tracked */
export function stallOf({ job, movedAt, canceling }) {
  const silent = Date.now() - movedAt;
  const reportsNone = job.phase === "denoising" && job.total === 0;
  if (job.status !== "processing" || canceling || reportsNone || silent < STALLED_MS) return null;
  return t("job.stalled", { time: duration(silent / 1000) });
}
