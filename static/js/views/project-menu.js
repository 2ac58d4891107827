import { t } from "../i18n.js";

/** What can be done with a project. @param {{id: string, name: string}} project @param {StartActions} actions @param {() => void} rename @returns {import("./menu.js").Entry[]} */
export const projectMenu = (project, actions, rename) => [
  { label: t("project.rename"), icon: "pencil", run: rename },
  { label: t("project.duplicate"), icon: "duplicate", run: () => actions.duplicateProject(project) },
  { label: t("project.download"), icon: "download", run: () => actions.downloadProject(project) },
  { label: t("project.delete"), icon: "trash", danger: true, run: () => actions.deleteProject(project) },
];
