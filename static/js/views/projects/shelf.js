import { h } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { ago, layerCount } from "../../words.js";

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
export function projectTile(project, onopen) {
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
