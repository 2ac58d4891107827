import { h, setProse, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { engineState } from "../../state/engine.js";
import { engineName } from "../../words.js";

/**
 * What has to be said before all else, as long as it is so: no server, an engine that cannot run, two tabs that have
 * changed one project.
 *
 * @param {StartActions} actions
 * @param {() => void} openEngine
 * @returns {View}
 */
export function createBars(actions, openEngine) {
  const button = (/** @type {Key} */ label, /** @type {() => void} */ onclick, look = "") => h("button", { class: `button small ${look}`, onclick }, t(label));
  const offline = h("div.offline", { role: "alert" }, h("span", t("offline.text")), button("offline.retry", actions.checkService));
  const title = h("strong");
  const reason = h("p");
  const hint = h("p.hint");
  const broken = h("div.broken", { role: "alert" }, icon("warning"), h("div", title, reason, hint), button("header.engineTitle", openEngine));
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
      setText(title, t("broken.title", { label: engineName(status) }));
      setProse(reason, status.error ?? "");
      setProse(hint, status.hint ?? "");
    },
  };
}
