import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { iconButton } from "./fields.js";

const SHOWN_MS = 6000;
/** What is long takes long to read. */
const READING_MS = 60;

/** A word about what just happened, spoken to screen readers; it goes by itself. @param {StartActions} actions @returns {View} */
export function createNotice(actions) {
  /** @type {Notice | null} */
  let shown = null;
  let timer = 0;
  const text = h("span");
  const button = h("button.notice-action", { onclick: () => shown?.action?.run() });
  const toast = h("div.notice", { hidden: true }, text, button, iconButton("close", t("notice.dismiss"), actions.dismissNotice));
  const words = h("p.visually-hidden");
  const element = h("div.notices", { role: "status", "aria-live": "polite" }, toast, words);

  /** Nothing vanishes from under a pointer or the keyboard. */
  function expire() {
    if (toast.matches(":hover, :focus-within")) timer = setTimeout(expire, SHOWN_MS);
    else actions.dismissNotice();
  }

  return {
    element,
    render: ({ notice, spoken }) => {
      setText(words, spoken);
      if (notice === shown) return;
      shown = notice;
      clearTimeout(timer);
      toast.hidden = notice === null;
      if (notice === null) return;
      setText(text, notice.text);
      button.hidden = notice.action === null;
      setText(button, notice.action?.label ?? "");
      timer = setTimeout(expire, Math.max(SHOWN_MS, notice.text.length * READING_MS));
    },
  };
}
