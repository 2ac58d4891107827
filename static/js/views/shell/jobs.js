import { notifying, setNotifying } from "../../actions/notifying.js";
import { h, setAttribute, setText } from "../../dom.js";
import { ago, refusalOf, t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { notedJobs } from "../../state/snapshot.js";
import { isOver } from "../../transport/api.js";
import { infoDialog } from "./dialogs.js";
import { callout } from "./fields.js";
import { describeJob, progressBar, shareOf } from "./job-bar.js";

/** @typedef {import("../../state/snapshot.js").JobNote} JobNote */
/** @typedef {ReturnType<typeof import("../../actions/job-list.js").createJobList>} JobActions */

/** All jobs of this browser, the newest first: their kind, progress and result. @param {JobActions} actions */
export function createJobsDialog(actions) {
  /** @type {Map<string, ReturnType<typeof createRow>>} */
  const rows = new Map();
  /** @type {string[]} */
  let running = [];
  const empty = h("p.hint", t("jobs.empty"));
  const error = callout();
  const list = h("ul.project-list");
  const cancelAll = h("button.button", { onclick: () => actions.cancelJobs(running) }, t("edit.cancelAll"));
  const foot = h("div.dialog-foot", cancelAll);
  const notify = createNotify();
  const dialog = infoDialog("jobs-dialog", h("h2", t("jobs.title")), error.element, empty, list, foot, notify.element);
  const close = () => dialog.close();
  dialog.addEventListener("close", () => actions.watchJobs(false));

  return {
    element: dialog,
    open: () => {
      dialog.showModal();
      actions.watchJobs(true);
    },
    /** @param {State} state */
    render: (state) => {
      const { jobList, jobsError } = state;
      error.set(jobsError);
      notify.render();
      empty.hidden = jobList === null || jobList.length > 0;
      if (!dialog.open || jobList === null) return;
      const notes = notedJobs();
      running = jobList.filter((job) => !isOver(job)).map(({ id }) => id);
      foot.hidden = running.length < 2;
      const hadFocus = list.contains(document.activeElement);
      const kept = new Map(rows);
      rows.clear();
      for (const { id } of jobList) rows.set(id, kept.get(id) ?? createRow(actions, close));
      for (const [index, job] of jobList.entries()) {
        const row = /** @type {ReturnType<typeof createRow>} */ (rows.get(job.id));
        row.render(job, notes[job.id] ?? null, state);
        if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
      }
      while (list.childElementCount > jobList.length) list.lastChild?.remove();
      // The cancel button disappears with the job.
      if (hadFocus && !list.contains(document.activeElement)) dialog.querySelector("button")?.focus();
    },
  };
}

/** The choice to be notified, and why the browser does not do it. */
function createNotify() {
  const box = h("input", {
    type: "checkbox",
    onchange: async () => {
      await setNotifying(box.checked);
      render();
    },
  });
  const hint = h("p.hint");
  const element = h("div", h("label.lora-name", box, h("span", t("notify.offer"))), hint);
  const render = () => {
    const now = notifying();
    box.checked = now === "on";
    box.disabled = now === "blocked" || now === "missing";
    hint.hidden = !box.disabled;
    if (now === "blocked" || now === "missing") setText(hint, t(`notify.${now}`));
  };
  return { element, render };
}

/** @param {JobActions} actions @param {() => void} close */
function createRow(actions, close) {
  /** @type {Job} */
  let job;
  const picture = h("span.job-picture");
  const title = h("strong");
  const about = h("span.hint");
  const status = h("span.hint.number.job-status");
  const bar = progressBar();
  const cancel = h("button.button.small", { onclick: () => actions.cancelJobs([job.id]) }, t("job.cancel"));
  const open = h("button.button.small", {
    onclick: () => {
      close();
      actions.openJob(job);
    },
  });
  const words = h("div.project-words", title, about, bar.element, status);
  const element = h("li.job", picture, words, h("div.job-ways", cancel, open));
  let shown = "";

  /** @param {string | null} address */
  function show(address) {
    if (shown === (address ?? "none")) return;
    shown = address ?? "none";
    picture.replaceChildren(
      address === null ? h("span.tile-blank", icon("picture")) : h("img.checkerboard", { src: address, alt: "", loading: "lazy" }),
    );
  }

  return {
    element,
    /** @param {Job} next @param {JobNote | null} note @param {State} state */
    render: (next, note, { jobs, projects, project: here }) => {
      const tracked = jobs[next.id];
      // The jobs that this tab follows are newer than the list.
      job = tracked === undefined || isOver(next) ? next : tracked.job;
      const over = isOver(job);
      const project = projects?.find(({ id }) => id === note?.project) ?? null;
      const preview = Object.values(tracked?.previews ?? {}).at(-1);
      show(resultPicture(job) ?? preview ?? project?.thumbnail ?? null);
      setText(title, titleOf(job, note));
      setText(about, [project?.name ?? note?.projectName ?? t("jobs.elsewhere"), note?.instruction].filter(Boolean).join(" · "));
      setText(status, over ? endOf(job) : describeJob({ job, canceling: tracked?.canceling ?? false }));
      element.dataset.status = job.status;
      bar.element.hidden = over;
      bar.set(shareOf({ job }));
      const name = t("jobs.named", { title: title.textContent, project: about.textContent });
      cancel.hidden = over;
      cancel.disabled = tracked?.canceling ?? false;
      setAttribute(cancel, "aria-label", `${t("job.cancel")}: ${name}`);
      open.hidden = note === null || (!over && note.project === here?.id);
      const answer = t(over ? "jobs.openResult" : "jobs.open");
      setText(open, answer);
      setAttribute(open, "aria-label", `${answer}: ${name}`);
    },
  };
}

/** @param {Job} job */
function resultPicture({ result }) {
  if (result === null) return null;
  return "layers" in result ? result.layers[0].image : result.image;
}

/** @param {Job} job @param {JobNote | null} note */
function titleOf({ kind }, note) {
  if (note?.name === undefined) return t(kind === "edit" ? "jobs.edit" : "job.decompose");
  return t(kind === "edit" ? "job.edit" : "job.split", { name: note.name });
}

/** A job's outcome, and advice if it failed. @param {Job} job */
function endOf({ status, error, created_at: at }) {
  if (status === "failed") return error === null ? t("error.unexpected") : refusalOf({ hint: error.hint ?? null, reason: error.message });
  return t(status === "succeeded" ? "jobs.done" : "jobs.canceled", { age: ago(at) });
}
