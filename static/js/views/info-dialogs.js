// @ts-check
import { h, setText } from "../dom.js";
import { strings } from "../strings.js";
import { engineName } from "../state/engine.js";
import { callout, iconButton, uniqueId } from "./fields.js";

/** @param {string} look @param {HTMLElement} title @param {...HTMLElement} body */
function infoDialog(look, title, ...body) {
  title.id = uniqueId("dialog-title");
  const close = iconButton("close", strings.help.close, () => dialog.close());
  const head = h("div", { class: "dialog-head" }, title, close);
  const dialog = h("dialog", { class: `info-dialog ${look}`, "aria-labelledby": title.id }, head, ...body);
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}

/** Which engine runs, what that means, and how to get the other one. */
export function createEngineDialog() {
  const text = strings.engine;
  const title = h("h2");
  const about = h("p");
  const reason = h("p", { class: "hint" });
  const problem = callout();
  const hint = h("p", { class: "engine-hint" });
  const other = h("section", {}, h("h3", { class: "heading" }, text.other), hint);
  const cells = { device: h("dd"), models: h("dd"), running: h("dd", { class: "number" }), waiting: h("dd", { class: "number" }) };
  const facts = h(
    "dl",
    { class: "facts" },
    ...Object.entries(cells).map(([key, cell]) => h("div", {}, h("dt", {}, text[/** @type {keyof typeof cells} */ (key)]), cell)),
  );
  const dialog = infoDialog("engine-dialog", title, problem.element, about, reason, facts, other);
  return {
    element: dialog,
    open: () => dialog.showModal(),
    /** @param {import("../types.js").State} state */
    render: ({ status }) => {
      const classical = status?.engine === "classical";
      setText(title, status === null ? strings.header.engineUnknown : text.title(engineName(status)));
      setText(about, status === null ? strings.offline.text : classical ? `${text.classical} ${text.classicalEdits}` : text.qwen);
      problem.set(status?.error ?? null);
      setText(reason, [status?.reason, status?.placement].filter(Boolean).join(" "));
      facts.hidden = status === null || status.state === "failed";
      setFact(cells.models, status?.loaded_models.join(", ") || text.loading);
      setFact(cells.device, status?.engine_label.split(" · ")[1] ?? status?.device ?? "");
      setFact(cells.running, String(status?.queue.running ?? 0));
      setFact(cells.waiting, String(status?.queue.length ?? 0));
      other.hidden = !status?.hint;
      setText(hint, status?.hint ?? "");
    },
  };
}

/** A fact that is not known yet has no row. @param {HTMLElement} cell @param {string} value */
function setFact(cell, value) {
  setText(cell, value);
  /** @type {HTMLElement} */ (cell.parentElement).hidden = value === "";
}

/** The shortcuts, and what this page is. */
export function createHelpDialog() {
  const groups = strings.help.groups.map(({ title, rows }) =>
    h(
      "section",
      {},
      h("h3", { class: "heading" }, title),
      h("dl", { class: "keys" }, ...rows.map(([keys, what]) => h("div", {}, h("dt", {}, what), h("dd", {}, ...keysOf(keys))))),
    ),
  );
  const dialog = infoDialog("help-dialog", h("h2", {}, strings.help.title), h("div", { class: "key-groups" }, ...groups), h("p", { class: "hint" }, strings.help.about));
  return { element: dialog, open: () => dialog.showModal() };
}

/** @param {string} keys */
const keysOf = (keys) => keys.split(" ").map((key) => h("kbd", {}, key));
