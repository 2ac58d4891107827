// @ts-check
import { h, setText } from "../dom.js";
import { strings } from "../strings.js";
import { iconButton } from "./fields.js";

const SHOWN_MS = 6000;

/**
 * A word about what just happened, spoken to screen readers; it goes by itself.
 * @param {import("../types.js").Actions} actions
 * @returns {import("../types.js").View}
 */
export function createNotice(actions) {
  /** @type {import("../types.js").Notice | null} */
  let shown = null;
  let timer = 0;
  const text = h("span");
  const button = h("button", { class: "notice-action", type: "button", onclick: () => shown?.action?.run() });
  const toast = h("div", { class: "notice", hidden: true }, text, button, iconButton("close", strings.notices.dismiss, actions.dismissNotice));
  const words = h("p", { class: "visually-hidden" });
  const element = h("div", { class: "notices", role: "status", "aria-live": "polite" }, toast, words);

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
      timer = setTimeout(expire, SHOWN_MS);
    },
  };
}

/**
 * @param {import("../types.js").Actions} actions
 * @returns {import("../types.js").View}
 */
export function createOfflineBar(actions) {
  const retry = h("button", { class: "button small", type: "button", onclick: actions.checkService }, strings.offline.retry);
  const element = h("div", { class: "offline", role: "alert", hidden: true }, h("span", {}, strings.offline.text), retry);
  return {
    element,
    render: ({ reachable }) => {
      element.hidden = reachable;
    },
  };
}
