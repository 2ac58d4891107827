// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { engineState } from "../state/engine.js";
import { findLayer } from "../state/project.js";
import { strings } from "../strings.js";

const text = strings.job;

/** @typedef {import("../types.js").TrackedJob} TrackedJob */

/** A bar that fills, or slides while nobody knows how far it is. */
export function progressBar() {
  const fill = h("div");
  const element = h("div", { class: "progress", role: "progressbar", "aria-label": text.progress, "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
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
  if (tracked === undefined) return text.sending;
  if (tracked.canceling) return text.canceling;
  const { status, phase, step, total, eta_s: eta, position } = tracked.job;
  if (status === "queued") return text.queued(position);
  const parts = [phase ? (text.phases[phase] ?? phase[0].toUpperCase() + phase.slice(1)) : text.starting];
  if (total > 0) parts.push(phase === "downloading" ? text.bytes(step, total) : text.step(Math.min(step + 1, total), total));
  if (eta !== null && eta > 0) parts.push(text.left(eta));
  return parts.join(" · ");
}

/**
 * The job at work, or what is on the table, at the foot of the page.
 * @param {import("../types.js").Actions} actions
 * @returns {import("../types.js").View}
 */
export function createJobBar(actions) {
  let current = "";
  const title = h("strong", { class: "job-title" });
  const bar = progressBar();
  const detail = h("span", { class: "job-detail number" });
  const more = h("span", { class: "hint number" });
  const cancel = h("button", { class: "button small", type: "button", onclick: () => actions.cancelJob(current) }, text.cancel);
  const facts = h("p", { class: "job-facts hint number" });
  const work = h("div", { class: "job-work" }, title, bar.element, detail, more, cancel);
  const element = h("footer", { class: "job-bar" }, facts, work);

  return {
    element,
    render: (state) => {
      const jobs = Object.values(state.jobs);
      const tracked = jobs.find(({ job }) => job.status === "processing") ?? jobs[0];
      facts.hidden = tracked !== undefined;
      work.hidden = tracked === undefined;
      setText(facts, factsOf(state));
      document.title = pageTitle(tracked);
      if (tracked === undefined) return;
      current = tracked.job.id;
      setText(title, titleOf(state, tracked));
      setText(detail, describeJob(tracked));
      setText(more, jobs.length > 1 ? text.more(jobs.length - 1) : "");
      bar.set(shareOf(tracked));
      cancel.disabled = tracked.canceling;
    },
  };
}

/** @param {import("../types.js").State} state */
function factsOf({ project, status, reachable }) {
  if (project.picture === null) return text.idle[engineState(status, reachable)];
  return text.facts(project.picture.name, project);
}

/** @param {TrackedJob | undefined} tracked */
function pageTitle(tracked) {
  const share = shareOf(tracked);
  return share === null ? strings.name : `${Math.round(share * 100)} % · ${strings.name}`;
}

/** @param {import("../types.js").State} state @param {TrackedJob} tracked */
function titleOf(state, { purpose }) {
  if (purpose.kind === "decompose") return text.decompose;
  return text.edit(findLayer(state.project, purpose.layerId)?.name ?? text.someLayer);
}
