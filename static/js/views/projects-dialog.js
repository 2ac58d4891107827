import { h } from "../dom.js";
import { t } from "../i18n.js";
import { iconButton } from "./fields.js";
import { infoDialog } from "./info-dialogs.js";
import { menuButton } from "./menu.js";
import { filePicker, LAYER_FILES } from "./pickers.js";
import { factsOf, projectMenu, projectThumb } from "./project-shelf.js";
import { createRename } from "./rename.js";

/** Every project that the server keeps. @param {StartActions} actions */
export function createProjectsDialog(actions) {
  /** @type {unknown} */
  let shown = null;
  const list = h("ul.project-list");
  const empty = h("p.hint", t("projects.empty"));
  const importer = filePicker({
    label: t("project.import"),
    look: "",
    accept: LAYER_FILES,
    icon: "upload",
    onfile: (file) => (dialog.close(), actions.openFile(file)),
  });
  const begin = h("button.button.primary", { onclick: () => (dialog.close(), actions.newProject()) }, t("project.new"));
  const dialog = infoDialog("projects-dialog", h("h2", t("projects.title")), empty, list, h("div.dialog-foot", importer, begin));
  const close = () => dialog.close();
  return {
    element: dialog,
    open: () => {
      actions.listProjects();
      dialog.showModal();
    },
    /** @param {State} state */
    render: ({ projects }) => {
      if (projects === shown) return;
      shown = projects;
      empty.hidden = projects !== null && projects.length > 0;
      list.replaceChildren(...(projects ?? []).map((project) => projectRow(project, actions, close)));
    },
  };
}

/** @param {ProjectSummary} project @param {StartActions} actions @param {() => void} close */
function projectRow(project, actions, close) {
  const { id, name } = project;
  const open = h(
    "button.project-open",
    { onclick: () => (close(), actions.openProject(id)) },
    h("span.visually-hidden", t("projects.open")),
    projectThumb(project),
    h("span.project-words", h("strong", name), h("span.hint.number", factsOf(project))),
  );
  const rename = createRename({ label: t("project.nameField"), stands: open, onname: (text) => actions.renameProject(id, text) });
  const more = menuButton(iconButton("more", t("projects.actions", { name }), () => {}), () => ({
    label: t("projects.actions", { name }),
    entries: projectMenu(project, actions, () => rename.begin(name)),
  }));
  return h("li", open, rename.element, more);
}
