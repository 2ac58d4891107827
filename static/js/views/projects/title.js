import { h, setAttribute, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { menuButton } from "../shell/menu.js";
import { projectMenu } from "./shelf.js";
import { createRename } from "../shell/rename.js";

/**
 * The project's name, with what can be done with it, and whether it is saved.
 * @param {StartActions} actions
 * @param {() => void} openProjects
 * @returns {View}
 */
export function createProjectTitle(actions, openProjects) {
  /** @type {Project | null} */
  let project = null;
  const name = h("span.project-name");
  const button = h("button.project-button", name, icon("caret"));
  const rename = createRename({ label: t("project.nameField"), stands: button, onname: (text) => project && actions.renameProject(project.id, text) });
  const saved = h("span.saved.hint");
  menuButton(button, () => ({ label: t("project.menu", { name: project?.name ?? "" }), entries: entries() }));
  const entries = () => [
    ...(project === null ? [] : [...projectMenu(project, actions, rename.begin), ""]),
    { label: t("project.new"), icon: /** @type {const} */ ("plus"), run: actions.newProject },
    { label: t("project.all"), icon: /** @type {const} */ ("folder"), run: openProjects },
  ];
  return {
    element: h("div.project-title", button, rename.element, saved),
    render: (state) => {
      project = state.project;
      setText(name, project?.name ?? t("projects.title"));
      setAttribute(button, "aria-label", project === null ? t("projects.title") : t("project.menu", { name: project.name }));
      saved.hidden = project === null;
      saved.dataset.state = state.conflict ? "failed" : state.saving;
      setText(saved, t(state.conflict ? "project.undecided" : WORDS[state.saving]));
      setAttribute(saved, "title", state.saving === "failed" && !state.conflict ? t("project.failedTitle") : null);
    },
  };
}

const WORDS = /** @type {const} */ ({ saved: "project.saved", unsaved: "project.unsaved", saving: "project.unsaved", failed: "project.failed" });
