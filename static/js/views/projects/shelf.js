import { h, setAttribute, setText } from "../../dom.js";
import { ago, layerCount, t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { createRename } from "../shell/fields.js";
import { menuButton } from "../shell/menu.js";

const SHOWN = 4;

/** The latest projects, on the start page. @param {StartActions} actions @param {() => void} openProjects @returns {View} */
export function createProjectShelf(actions, openProjects) {
  /** @type {unknown} */
  let shown = null;
  const tiles = h("div.samples");
  const all = h("button.link", { onclick: openProjects }, t("projects.more"));
  const head = h("div.shelf-head", h("h2.heading", t("projects.recent")), all);
  const element = h("section.shelf", { "aria-label": t("projects.recent") }, head, tiles);
  return {
    element,
    render: ({ projects }) => {
      element.hidden = projects === null || projects.length === 0;
      if (projects === null || projects === shown) return;
      shown = projects;
      tiles.replaceChildren(...projects.slice(0, SHOWN).map((project) => projectTile(project, () => actions.openProject(project.id))));
    },
  };
}

/** @param {ProjectSummary} project @param {() => void} onopen */
function projectTile(project, onopen) {
  return h(
    "button.sample.project-tile",
    { onclick: onopen },
    h("span.visually-hidden", t("projects.open")),
    projectThumb(project),
    h("span.tile-name", project.name),
    h("span.hint.number", factsOf(project)),
  );
}

/** @param {ProjectSummary} project */
export function projectThumb({ thumbnail }) {
  if (thumbnail === null) return h("span.tile-blank", icon("picture"));
  return h("img.checkerboard", { src: thumbnail, alt: "", width: 120, height: 90, decoding: "async", loading: "lazy" });
}

/** @param {ProjectSummary} project */
export function factsOf({ layer_count: layers, updated_at: at }) {
  return layers > 0 ? t("projects.facts", { layers: layerCount(layers), age: ago(at) }) : ago(at);
}

/** What can be done with a project. @param {{id: string, name: string}} project @param {StartActions} actions @param {() => void} rename @returns {import("../shell/menu.js").Entry[]} */
export const projectMenu = (project, actions, rename) => [
  { label: t("project.rename"), icon: "pencil", run: rename },
  { label: t("project.duplicate"), icon: "duplicate", run: () => actions.duplicateProject(project) },
  { label: t("project.download"), icon: "download", run: () => actions.downloadProject(project) },
  { label: t("project.delete"), icon: "trash", danger: true, run: () => actions.deleteProject(project) },
];

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
  const rename = createRename({
    label: t("project.nameField"),
    stands: button,
    onname: (text) => project && actions.renameProject(project.id, text),
  });
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

const WORDS = /** @type {const} */ ({
  saved: "project.saved",
  unsaved: "project.unsaved",
  saving: "project.unsaved",
  failed: "project.failed",
});
