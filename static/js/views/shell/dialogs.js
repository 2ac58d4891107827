import { h, setProse, setText } from "../../dom.js";
import { engineDevice, engineName, t } from "../../i18n.js";
import { KEYMAP, signsOf } from "../../keymap.js";
import { callout, iconButton, uniqueId } from "./fields.js";

/** @param {string} look @param {HTMLElement} title @param {...HTMLElement} body */
export function infoDialog(look, title, ...body) {
  title.id = uniqueId("dialog-title");
  const close = iconButton("close", t("dialog.close"), () => dialog.close());
  const head = h("div.dialog-head", title, close);
  const dialog = h(
    "dialog",
    { class: `info-dialog ${look}`, "aria-labelledby": title.id },
    head,
    h("div.dialog-body", { tabIndex: 0 }, ...body),
  );
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}

const FACTS = /** @type {const} */ (["device", "forward", "models", "running", "waiting"]);

/** The running engine, its properties, and how to get the other one. */
export function createEngineDialog() {
  const title = h("h2");
  const about = h("p");
  const reason = h("p.hint");
  const problem = callout();
  const hint = h("p.engine-hint");
  const other = h("section", h("h3.heading", t("engine.other")), hint);
  const cells = { device: h("dd"), forward: h("dd"), models: h("dd"), running: h("dd.number"), waiting: h("dd.number") };
  const facts = h("dl.facts", ...FACTS.map((fact) => h("div", h("dt", t(`engine.${fact}`)), cells[fact])));
  const dialog = infoDialog("engine-dialog", title, problem.element, about, reason, facts, other);
  return {
    element: dialog,
    open: () => dialog.showModal(),
    /** @param {State} state */
    render: ({ status }) => {
      setText(title, status === null ? t("header.engineUnknown") : t("engine.title", { label: engineName(status.engine) }));
      setText(about, status === null ? t("offline.text") : t(`engine.about.${status.engine}`));
      problem.set(status?.error ?? null);
      const { blocks, kernels, attention, why = [] } = status?.forward ?? {};
      const slower = why.length > 0 && t("engine.why", { why: why.join("; ") });
      setProse(reason, [status?.reason, status?.placement, slower].filter(Boolean).join(" "));
      facts.hidden = status === null || status.state === "failed";
      setFact(
        cells.models,
        status?.loaded_models.map((model) => (model === status.engine ? engineName(model) : model)).join(", ") ||
          t(status?.state === "unloaded" ? "engine.unloaded" : "engine.loading"),
      );
      setFact(cells.device, status === null ? "" : engineDevice(status) || (status.device ?? ""));
      setFact(cells.forward, [blocks, kernels, attention].filter(Boolean).join(" · "));
      setFact(cells.running, String(status?.queue.running ?? 0));
      setFact(cells.waiting, String(status?.queue.length ?? 0));
      other.hidden = !status?.hint;
      setProse(hint, status?.hint ?? "");
    },
  };
}

/** An unknown fact has no row. @param {HTMLElement} cell @param {string} value */
function setFact(cell, value) {
  setText(cell, value);
  /** @type {HTMLElement} */ (cell.parentElement).hidden = value === "";
}

/** The shortcuts, and what this page is. */
export function createHelpDialog() {
  const groups = Object.entries(KEYMAP).map(([place, rows]) =>
    h(
      "section",
      h("h3.heading", t(/** @type {Key} */ (`help.${place}`))),
      h("dl.keys", ...rows.map(([words, keys]) => h("div", h("dt", t(words)), h("dd", ...signsOf(keys).map(sign))))),
    ),
  );
  const dialog = infoDialog("help-dialog", h("h2", t("help.title")), h("div.key-groups", ...groups), h("p.hint", t("help.about")));
  return { element: dialog, open: () => dialog.showModal(), render: () => {} };
}

/** @param {string} key */
const sign = (key) => h("kbd", key === "Space" ? t("key.space") : key);

/** A question before something that cannot be undone: one for the whole page. */
export function createQuestion() {
  /** @type {() => void} */
  let run = () => {};
  const text = h("p", { id: uniqueId("question") });
  const onclick = () => {
    dialog.close();
    run();
  };
  const yes = h("button.button.danger", { onclick });
  const no = h("button.button", { onclick: () => dialog.close() }, t("question.cancel"));
  const dialog = h(
    "dialog.info-dialog.question",
    { role: "alertdialog", "aria-labelledby": text.id },
    h("div.dialog-body", text),
    h("div.dialog-foot", no, yes),
  );
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && dialog.close());
  return {
    element: dialog,
    /** @param {string} question @param {string} answer   what the button says @param {() => void} then */
    ask: (question, answer, then) => {
      run = then;
      setText(text, question);
      setText(yes, answer);
      dialog.showModal();
      no.focus();
    },
  };
}
