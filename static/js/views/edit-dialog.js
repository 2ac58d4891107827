// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { t } from "../i18n.js";
import { exactly } from "../words.js";
import { NEW_EDIT } from "../state/initial.js";
import { isSeed } from "../state/seed.js";
import { findLayer } from "../state/doc.js";
import { isEditing } from "../actions/edits.js";
import { createCompare } from "./compare.js";
import { createEditForm } from "./edit-form.js";
import { callout, iconButton, uniqueId } from "./fields.js";
import { describeJob, progressBar, shareOf } from "./progress.js";

/**
 * The modal in which a layer is edited. It shows the layer's edit and owns nothing of it: closing loses nothing.
 *
 * @param {import("../types.js").Actions} actions
 * @param {import("../images/bitmaps.js").Bitmaps} bitmaps
 */
export function createEditDialog(actions, bitmaps) {
  let layerId = "";
  let hadResult = false;
  const titleId = uniqueId("edit-title");
  const title = h("h2", { id: titleId });
  const compare = createCompare(bitmaps);
  const form = createEditForm(actions, () => layerId);
  const error = callout();
  const run = createRun(() => actions.applyEdit(layerId), (jobId) => actions.cancelJob(jobId));
  const made = h("p", { class: "hint number" });
  const replace = h("button", { class: "button primary wide", type: "button", onclick: () => actions.acceptEdit(layerId) }, t("edit.replace"));
  const retry = h("button", { class: "button", type: "button", onclick: () => actions.applyEdit(layerId) }, t("edit.retry"));
  const discard = h("button", { class: "button", type: "button", onclick: () => actions.discardEdit(layerId) }, t("edit.discard"));
  const decide = h("div", { class: "edit-decide" }, made, replace, retry, discard);
  const side = h(
    "div",
    { class: "edit-side" },
    h("div", { class: "edit-head" }, title, iconButton("close", `${t("edit.close")}. ${t("edit.closeHint")}`, actions.closeEdit)),
    h("div", { class: "edit-body" }, error.element, form.element),
    h("div", { class: "edit-foot" }, run.element, decide),
  );
  const dialog = h("dialog", { class: "edit-dialog", "aria-labelledby": titleId }, compare.element, side);

  // Esc and the phone's back gesture close the dialog by themselves; the state must hear of it.
  dialog.addEventListener("close", actions.closeEdit);
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) actions.closeEdit();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) actions.applyEdit(layerId);
  });

  /** @param {import("../types.js").State} state @param {import("../types.js").Layer} layer */
  function renderOpen(state, layer) {
    const edit = state.edits[layer.id] ?? NEW_EDIT;
    const busy = isEditing(edit);
    const result = busy ? null : edit.result;
    const classical = state.status?.engine === "classical";
    layerId = layer.id;
    setText(title, layer.name);
    const version = layer.versions[result?.version ?? -1];
    compare.show(result?.before ?? layer.image, version?.image ?? null);
    form.render(edit, classical);
    error.set(edit.error, edit.errorCode === "unsupported_instruction" ? t("edit.canDo") : undefined);
    run.render(state, edit, result !== null);
    retry.disabled = !isSeed(edit.seed);
    decide.hidden = result === null;
    if (result !== null) setText(made, t("edit.made", { time: exactly(result.seconds), seed: version?.seed ?? "" }));
    setAttribute(dialog, "data-state", busy ? "running" : result !== null ? "result" : "draft");
    const fresh = !dialog.open;
    if (fresh) dialog.showModal();
    // On a phone the keyboard would cover the layer before it has been looked at.
    if (fresh && result === null && !matchMedia("(pointer: coarse)").matches) form.focus();
    // The keyboard goes on where the work goes on.
    if (result !== null && (fresh || !hadResult)) replace.focus();
    hadResult = result !== null;
  }

  return {
    element: dialog,
    /** @param {import("../types.js").State} state */
    render: (state) => {
      const layer = findLayer(state.doc, state.editing);
      if (layer !== null) renderOpen(state, layer);
      else if (dialog.open) dialog.close();
    },
  };
}

/**
 * Apply, and how the run goes on.
 * @param {() => void} onapply
 * @param {(jobId: string) => void} oncancel
 */
function createRun(onapply, oncancel) {
  /** @type {string | null} */
  let jobId = null;
  const bar = progressBar();
  const detail = h("p", { class: "hint number" });
  const cancel = h("button", { class: "button", type: "button", onclick: () => jobId && oncancel(jobId) }, t("edit.cancel"));
  const progress = h("div", { class: "edit-progress" }, bar.element, detail, cancel);
  const apply = h(
    "button",
    { class: "button primary wide", type: "button", onclick: onapply },
    t("edit.apply"),
    h("kbd", { class: "button-key" }, t("edit.applyKey")),
  );
  return {
    element: h("div", {}, apply, progress),
    /** @param {import("../types.js").State} state @param {import("../types.js").Edit} edit @param {boolean} hasResult */
    render: (state, edit, hasResult) => {
      const busy = isEditing(edit);
      const tracked = state.jobs[edit.jobId ?? ""];
      jobId = edit.jobId;
      apply.hidden = busy || hasResult;
      apply.disabled = edit.instruction.trim() === "" || !isSeed(edit.seed);
      progress.hidden = !busy;
      bar.set(shareOf(tracked));
      setText(detail, describeJob(tracked));
      cancel.disabled = tracked === undefined || tracked.canceling;
    },
  };
}
