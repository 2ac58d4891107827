// @ts-check
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { callout } from "./fields.js";
import { filePicker, sampleShelf } from "./pickers.js";
import { createProjectShelf } from "./project-shelf.js";

/**
 * What an empty stage says.
 * @param {import("../types.js").Actions} actions
 * @param {() => void} openProjects
 * @returns {import("../types.js").View}
 */
export function createWelcome(actions, openProjects) {
  const error = callout();
  const recent = createProjectShelf(actions, openProjects);
  const element = h(
    "div",
    { class: "welcome" },
    h(
      "div",
      { class: "welcome-drop" },
      h("div", { class: "welcome-mark" }, icon("logo")),
      h("h2", {}, t("stage.welcome")),
      h("p", {}, t("stage.welcomeText")),
      h(
        "div",
        { class: "welcome-buttons" },
        filePicker({ label: t("source.choose"), look: "primary", onfile: actions.openFile }),
        filePicker({ label: t("source.camera"), look: "", onfile: actions.openFile, camera: true }),
      ),
      error.element,
    ),
    h("p", { class: "welcome-or" }, t("source.samples")),
    sampleShelf(actions),
    recent.element,
  );
  return {
    element,
    render: (state) => {
      error.set(state.sourceError);
      recent.render(state);
    },
  };
}
