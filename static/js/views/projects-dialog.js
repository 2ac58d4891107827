// @ts-check
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { iconButton } from "./fields.js";
import { infoDialog } from "./info-dialogs.js";
import { menuButton } from "./menu.js";
import { filePicker } from "./pickers.js";
import { factsOf, projectThumb } from "./project-shelf.js";
import { createRename } from "./rename.js";

/** @typedef {import("../types.js").ProjectSummary} ProjectSummary */

/**
 * Every project that the server keeps.
 * @param {import("../types.js").StartActions} actions
 */
export function createProjectsDialog(actions) {
  /** @type {unknown} */
  let shown = null;
  const list = h("ul", { class: "project-list" });
  const empty = h("p", { class: "hint" }, t("projects.empty"));
  const importer = filePicker({
    label: t("project.import"),
    look: "",
    accept: ".zip,application/zip",
    icon: "upload",
    onfile: (file) => (dialog.close(), actions.importProject(file)),
  });
  const begin = h("button", { class: "button primary", type: "button", onclick: () => (dialog.close(), actions.newProject()) }, t("project.new"));
  const dialog = infoDialog("projects-dialog", h("h2", {}, t("projects.title")), empty, list, h("div", { class: "dialog-foot" }, importer, begin));
  const close = () => dialog.close();
  return {
    element: dialog,
    open: () => {
      actions.listProjects();
      dialog.showModal();
    },
    /** @param {import("../types.js").State} state */
    render: ({ projects }) => {
      if (projects === shown) return;
      shown = projects;
      empty.hidden = projects !== null && projects.length > 0;
      list.replaceChildren(...(projects ?? []).map((project) => projectRow(project, actions, close)));
    },
  };
}

/** @param {ProjectSummary} project @param {import("../types.js").StartActions} actions @param {() => void} close */
function projectRow(project, actions, close) {
  const { id, name } = project;
  const open = h(
    "button",
    { class: "project-open", type: "button", onclick: () => (close(), actions.openProject(id)) },
    h("span", { class: "visually-hidden" }, t("projects.open")),
    projectThumb(project),
    h("span", { class: "project-words" }, h("strong", {}, name), h("span", { class: "hint number" }, factsOf(project))),
  );
  const rename = createRename({ label: t("project.nameField"), stands: open, onname: (text) => actions.renameProject(id, text) });
  const more = menuButton(iconButton("more", t("projects.actions", { name }), () => {}), () => ({
    label: t("projects.actions", { name }),
    entries: [
      { label: t("project.rename"), icon: "pencil", run: () => rename.begin(name) },
      { label: t("project.duplicate"), icon: "duplicate", run: () => actions.duplicateProject(project) },
      { label: t("project.download"), icon: "download", run: () => actions.downloadProject(project) },
      { label: t("project.delete"), icon: "trash", danger: true, run: () => actions.deleteProject(project) },
    ],
  }));
  return h("li", {}, open, rename.element, more);
}
