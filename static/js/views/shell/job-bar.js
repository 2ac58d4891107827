import { h, setAttribute, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { findLayer } from "../../state/doc.js";
import { layerCount, percent, size } from "../../words.js";
import { describeJob, idleWords, progressBar, shareOf, stallOf } from "./progress.js";

const LOOK_MS = 5000;

/** The job at work, or what is on the table, at the foot of the page. @param {Actions} actions @returns {View} */
export function createJobBar(actions) {
  /** @type {TrackedJob | undefined} */
  let tracked;
  const title = h("strong.job-title");
  const bar = progressBar();
  const detail = h("span.job-detail.number");
  const more = h("span.hint.number");
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
      setText(more, jobs.length > 1 ? t("job.more", { count: jobs.length - 1 }) : "");
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
function pageTitle({ project }, tracked) {
  // How far the model is loaded says nothing of how far the work is.
  const share = /^(down)?loading/.test(tracked?.job.phase ?? "") ? null : shareOf(tracked);
  const title = project === null ? t("name") : `${project.name} · ${t("name")}`;
  return share === null ? title : `${percent(Math.round(share * 100) / 100)} · ${title}`;
}

/** @param {State} state @param {TrackedJob} tracked */
function titleOf(state, { purpose }) {
  if (purpose.kind === "decompose") return t("job.decompose");
  const name = findLayer(state.doc, purpose.layerId)?.name ?? t("job.someLayer");
  return t(purpose.kind === "split" ? "job.split" : "job.edit", { name });
}
