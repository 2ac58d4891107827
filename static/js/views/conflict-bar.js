// @ts-check
import { h } from "../dom.js";
import { t } from "../i18n.js";

/**
 * What to do when this tab and another one have changed the same project.
 * @param {import("../types.js").StartActions} actions
 * @returns {import("../types.js").View}
 */
export function createConflictBar(actions) {
  const theirs = h("button", { class: "button small", type: "button", onclick: actions.loadOther }, t("conflict.theirs"));
  const mine = h("button", { class: "button small primary", type: "button", onclick: actions.keepOwn }, t("conflict.mine"));
  const element = h("div", { class: "conflict", role: "alert", hidden: true }, h("span", {}, t("conflict.text")), theirs, mine);
  return {
    element,
    render: ({ conflict }) => {
      element.hidden = !conflict;
    },
  };
}
