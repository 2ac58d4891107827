import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { uniqueId } from "./fields.js";

/** A question before something that cannot be undone: one for the whole page. */
export function createQuestion() {
  /** @type {() => void} */
  let run = () => {};
  const text = h("p", { id: uniqueId("question") });
  const yes = h("button.button.danger", { onclick: () => (dialog.close(), run()) });
  const no = h("button.button", { onclick: () => dialog.close() }, t("question.cancel"));
  const dialog = h("dialog.info-dialog.question", { role: "alertdialog", "aria-labelledby": text.id }, h("div.dialog-body", text), h("div.dialog-foot", no, yes));
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
