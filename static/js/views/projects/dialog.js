import { h, setText } from "../../dom.js";
import { ago, t } from "../../i18n.js";
import { infoDialog } from "../shell/dialogs.js";
import { createRename, fold, iconButton } from "../shell/fields.js";
import { filePicker, LAYER_FILES } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";
import { factsOf, projectMenu, projectThumb } from "./shelf.js";

/** @typedef {(question: string, answer: string, then: () => void) => void} Ask */

/** Every project that the server keeps, the deleted ones that can be brought back included. @param {StartActions} actions @param {Ask} ask */
export function createProjectsDialog(actions, ask) {
  /** @type {unknown[]} */
  let [shown, shownDeleted] = [null, null];
  const binTitle = h("span");
  const binList = h("ul.project-list");
  const bin = fold(binTitle, h("p.hint", t("projects.deletedHint")), binList);
  bin.hidden = true;
  const list = h("ul.project-list");
  const empty = h("p.hint", t("projects.empty"));
  const importer = filePicker({
    label: t("project.import"),
    look: "",
    accept: LAYER_FILES,
    icon: "upload",
    onfile: (file) => {
      dialog.close();
      actions.openFile(file);
    },
  });
  const onclick = () => {
    dialog.close();
    actions.newProject();
  };
  const begin = h("button.button.primary", { onclick }, t("project.new"));
  const dialog = infoDialog("projects-dialog", h("h2", t("projects.title")), empty, list, bin, h("div.dialog-foot", importer, begin));
  const close = () => dialog.close();
  return {
    element: dialog,
    open: () => {
      actions.listProjects();
      actions.listDeleted();
      dialog.showModal();
    },
    /** @param {State} state */
    render: ({ projects, deleted }) => {
      if (projects !== shown) {
        empty.hidden = projects !== null && projects.length > 0;
        list.replaceChildren(...(projects ?? []).map((project) => projectRow(project, actions, close)));
      }
      if (deleted !== shownDeleted) {
        bin.hidden = deleted === null || deleted.length === 0;
        setText(binTitle, t("projects.deleted", { count: deleted?.length ?? 0 }));
        binList.replaceChildren(...(deleted ?? []).map((project) => deletedRow(project, actions, ask)));
      }
      // What had the focus may be gone with its row.
      if (dialog.open && document.activeElement === document.body) begin.focus();
      [shown, shownDeleted] = [projects, deleted];
    },
  };
}

/** @param {ProjectSummary} project @param {StartActions} actions @param {Ask} ask */
function deletedRow(project, actions, ask) {
  const { name, deleted_at: at } = project;
  const question = () => ask(t("projects.forGoodQuestion", { name }), t("projects.forGood"), () => actions.deleteForGood(project));
  const more = iconButton("trash", t("projects.forGoodOf", { name }), question);
  const restore = h(
    "button.button.small",
    { "aria-label": t("projects.restoreOf", { name }), onclick: () => actions.restoreProject(project, false) },
    t("project.restore"),
  );
  return h(
    "li.deleted",
    projectThumb(project),
    h("span.project-words", h("strong", name), h("span.hint.number", t("projects.deletedFacts", { age: ago(at ?? 0) }))),
    restore,
    more,
  );
}

/** @param {ProjectSummary} project @param {StartActions} actions @param {() => void} close */
function projectRow(project, actions, close) {
  const { id, name } = project;
  const onclick = () => {
    close();
    actions.openProject(id);
  };
  const open = h(
    "button.project-open",
    { onclick },
    h("span.visually-hidden", t("projects.open")),
    projectThumb(project),
    h("span.project-words", h("strong", name), h("span.hint.number", factsOf(project))),
  );
  const rename = createRename({ label: t("project.nameField"), stands: open, onname: (text) => actions.renameProject(id, text) });
  const more = menuButton(
    iconButton("more", t("projects.actions", { name }), () => {}),
    () => ({
      label: t("projects.actions", { name }),
      entries: projectMenu(project, actions, () => rename.begin(name)),
    }),
  );
  return h("li", open, rename.element, more);
}
