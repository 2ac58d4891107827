import { h, setAttribute } from "../../dom.js";
import { t } from "../../i18n.js";
import { engineState } from "../../state/engine.js";
import { bytesOf, duration } from "../../words.js";

/** What the page says at its foot while it has nothing to do. @param {State} state */
export function idleWords({ status, reachable }) {
  const { running = 0, length = 0 } = status?.queue ?? {};
  if (reachable && running + length > 0) return t("job.idle.busy", { running, waiting: length });
  return t(`job.idle.${engineState(status, reachable)}`);
}

/** Long enough without a sign of life to say so, and this many times as long as a step has taken so far. */
const STALLED_MS = 45_000;

/** A bar that fills, or slides while nobody knows how far it is. */
export function progressBar() {
  const fill = h("div");
  const element = h("div.progress", { role: "progressbar", "aria-label": t("job.progress"), "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  /** @param {number | null} share */
  const set = (share) => {
    element.classList.toggle("waiting", share === null);
    fill.style.width = share === null ? "" : `${share * 100}%`;
    setAttribute(element, "aria-valuenow", share === null ? null : Math.round(share * 100));
  };
  return { element, set };
}

/** How much of a job is done, 0–1, or null while it waits. @param {TrackedJob | undefined} tracked */
export function shareOf(tracked) {
  if (tracked === undefined || tracked.job.status !== "processing" || tracked.job.total === 0) return null;
  return tracked.job.step / tracked.job.total;
}

/** Where a job stands, in words. @param {TrackedJob | undefined} tracked */
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

const PHASES = /** @type {const} */ (["starting", "downloading", "loading", "captioning", "encoding", "denoising", "decoding", "segmenting", "grouping", "ordering", "matting", "filling", "composing"]);

/** What an edit by the classical engine does passes too fast to be read. @param {string | null} phase */
const phaseWords = (phase) => t(`job.phase.${PHASES.find((name) => name === (phase || "starting")) ?? "other"}`);

/** For how long a job has given no sign of life, in words, once that is worth a word. @param {TrackedJob} tracked */
export function stallOf({ job, movedAt, canceling }) {
  const silent = Date.now() - movedAt;
  if (job.status !== "processing" || canceling || silent < STALLED_MS) return null;
  return t("job.stalled", { time: duration(silent / 1000) });
}
