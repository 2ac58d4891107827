import { h, setProse, setText } from "../../dom.js";
import { engineName, t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { engineState } from "../../state/initial.js";
import { iconButton } from "./fields.js";

const SHOWN_MS = 6000;
/** Longer notices stay longer. */
const READING_MS = 60;

/** A notice of an event, announced to screen readers; it disappears by itself. @param {StartActions} actions @returns {View} */
export function createNotice(actions) {
  /** @type {Notice | null} */
  let shown = null;
  let timer = 0;
  const text = h("span");
  const button = h("button.notice-action", { onclick: () => shown?.action?.run() });
  const toast = h("div.notice", { hidden: true }, text, button, iconButton("close", t("notice.dismiss"), actions.dismissNotice));
  const words = h("p.visually-hidden");
  const element = h("div.notices", { role: "status", "aria-live": "polite" }, toast, words);

  /** A notice stays while it is hovered or focused. */
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

/**
 * Persistent warnings: no server, an engine that cannot run, two tabs that have
 * changed one project.
 *
 * @param {StartActions} actions
 * @param {() => void} openEngine
 * @returns {View}
 */
export function createBars(actions, openEngine) {
  const button = (/** @type {Key} */ label, /** @type {() => void} */ onclick, look = "") =>
    h("button", { class: `button small ${look}`, onclick }, t(label));
  const offline = h("div.offline", { role: "alert" }, h("span", t("offline.text")), button("offline.retry", actions.checkService));
  const title = h("strong");
  const reason = h("p");
  const hint = h("p.hint");
  const broken = h(
    "div.broken",
    { role: "alert" },
    icon("warning"),
    h("div", title, reason, hint),
    button("header.engineTitle", openEngine),
  );
  const choices = [button("conflict.theirs", actions.loadOther), button("conflict.mine", actions.keepOwn, "primary")];
  const conflict = h("div.conflict", { role: "alert" }, h("span", t("conflict.text")), ...choices);
  return {
    element: h("div.bars", offline, broken, conflict),
    render: (state) => {
      const { status, reachable } = state;
      offline.hidden = reachable;
      conflict.hidden = !state.conflict;
      broken.hidden = engineState(status, reachable) !== "failed";
      if (status === null || broken.hidden) return;
      setText(title, t("broken.title", { label: engineName(status.engine) }));
      setProse(reason, status.error ?? "");
      setProse(hint, status.hint ?? "");
    },
  };
}
