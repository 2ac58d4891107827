// @ts-check
import { h, setText } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { engineName, engineState } from "../state/engine.js";
import { iconButton } from "./fields.js";

const SHOWN_MS = 6000;

/**
 * A word about what just happened, spoken to screen readers; it goes by itself.
 * @param {import("../types.js").StartActions} actions
 * @returns {import("../types.js").View}
 */
export function createNotice(actions) {
  /** @type {import("../types.js").Notice | null} */
  let shown = null;
  let timer = 0;
  const text = h("span");
  const button = h("button", { class: "notice-action", type: "button", onclick: () => shown?.action?.run() });
  const toast = h("div", { class: "notice", hidden: true }, text, button, iconButton("close", t("notice.dismiss"), actions.dismissNotice));
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
 * @param {import("../types.js").StartActions} actions
 * @returns {import("../types.js").View}
 */
export function createOfflineBar(actions) {
  const retry = h("button", { class: "button small", type: "button", onclick: actions.checkService }, t("offline.retry"));
  const element = h("div", { class: "offline", role: "alert", hidden: true }, h("span", {}, t("offline.text")), retry);
  return {
    element,
    render: ({ reachable }) => {
      element.hidden = reachable;
    },
  };
}

/**
 * Why nothing can be done while the engine cannot run, and what to do about it; it stays as long as that is so.
 * @param {() => void} openEngine
 * @returns {import("../types.js").View}
 */
export function createBrokenBar(openEngine) {
  const title = h("strong");
  const reason = h("p");
  const hint = h("p", { class: "hint" });
  const more = h("button", { class: "button small", type: "button", onclick: openEngine }, t("header.engineTitle"));
  const element = h("div", { class: "broken", role: "alert", hidden: true }, icon("warning"), h("div", {}, title, reason, hint), more);
  return {
    element,
    render: ({ status, reachable }) => {
      element.hidden = engineState(status, reachable) !== "failed";
      if (status === null || element.hidden) return;
      setText(title, t("broken.title", { label: engineName(status) }));
      setText(reason, status.error ?? "");
      setText(hint, status.hint ?? "");
    },
  };
}
