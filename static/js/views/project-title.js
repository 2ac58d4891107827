// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { menuButton } from "./menu.js";
import { createRename } from "./rename.js";

/**
 * The project's name, with what can be done with it, and whether it is saved.
 * @param {import("../types.js").StartActions} actions
 * @param {() => void} openProjects
 * @returns {import("../types.js").View}
 */
export function createProjectTitle(actions, openProjects) {
  /** @type {import("../types.js").Project | null} */
  let project = null;
  const name = h("span", { class: "project-name" });
  const button = h("button", { class: "project-button", type: "button" }, name, icon("caret"));
  const rename = createRename({ label: t("project.nameField"), stands: button, onname: (text) => project && actions.renameProject(project.id, text) });
  const saved = h("span", { class: "saved hint" });
  menuButton(button, () => ({ label: t("project.menu", { name: project?.name ?? "" }), entries: entriesFor(project, actions, rename.begin, openProjects) }));
  return {
    element: h("div", { class: "project-title" }, button, rename.element, saved),
    render: (state) => {
      project = state.project;
      button.parentElement?.toggleAttribute("hidden", project === null && state.projects === null);
      setText(name, project?.name ?? t("projects.title"));
      setAttribute(button, "aria-label", project === null ? t("projects.title") : t("project.menu", { name: project.name }));
      saved.hidden = project === null;
      saved.dataset.state = state.saving;
      setText(saved, t(WORDS[state.saving]));
      setAttribute(saved, "title", state.saving === "failed" ? t("project.failedTitle") : null);
    },
  };
}

const WORDS = /** @type {const} */ ({ saved: "project.saved", unsaved: "project.unsaved", saving: "project.unsaved", failed: "project.failed" });

/**
 * @param {import("../types.js").Project | null} project
 * @param {import("../types.js").StartActions} actions
 * @param {() => void} rename
 * @param {() => void} openProjects
 * @returns {import("./menu.js").Entry[]}
 */
function entriesFor(project, actions, rename, openProjects) {
  /** @type {import("./menu.js").Entry[]} */
  const own = project === null ? [] : [
    { label: t("project.rename"), icon: "pencil", run: rename },
    { label: t("project.duplicate"), icon: "duplicate", run: () => actions.duplicateProject(project) },
    { label: t("project.download"), icon: "download", run: () => actions.downloadProject(project) },
    { label: t("project.delete"), icon: "trash", danger: true, run: () => actions.deleteProject(project) },
    "",
  ];
  return [...own, { label: t("project.new"), icon: "plus", run: actions.newProject }, { label: t("project.all"), icon: "folder", run: openProjects }];
}
