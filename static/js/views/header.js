// @ts-check
import { h, setAttribute, setText } from "../dom.js";
import { LANGUAGES, language, speak, t } from "../i18n.js";
import { icon } from "../icons.js";
import { engineState } from "../state/engine.js";
import { iconButton } from "./fields.js";
import { menuButton } from "./menu.js";
import { createProjectTitle } from "./project-title.js";
import { setTheme, themeOf, THEMES } from "./theme.js";

/**
 * @param {import("../types.js").StartActions} actions
 * @param {{openEngine: () => void, openHelp: () => void, openProjects: () => void}} dialogs
 * @returns {import("../types.js").View}
 */
export function createHeader(actions, { openEngine, openHelp, openProjects }) {
  const engineText = h("span", { class: "engine-text" });
  const device = h("span", { class: "device" });
  const engine = h("button", { class: "engine", type: "button", onclick: openEngine }, h("span", { class: "dot" }), engineText, device);
  const queue = h("span", { class: "queue number" });
  const undo = iconButton("undo", t("header.undo"), actions.undo);
  const redo = iconButton("redo", t("header.redo"), actions.redo);
  const help = iconButton("help", t("header.help"), openHelp);
  help.classList.add("help");
  const project = createProjectTitle(actions, openProjects);
  const home = h("a", { class: "brand", href: "/", title: t("header.home") }, icon("logo"), h("h1", {}, t("name")));
  home.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    actions.newProject();
  });

  const element = h(
    "header",
    { class: "header" },
    h("div", { class: "header-start" }, home, project.element),
    h("div", { class: "header-end" }, engine, queue, undo, redo, settingsButton(openHelp), help),
  );

  return {
    element,
    render: (state) => {
      const { status, reachable, past, future } = state;
      const { first, second, full } = engineWords(status, reachable);
      project.render(state);
      setText(engineText, first);
      setText(device, second);
      engine.dataset.state = LOOKS[engineState(status, reachable)];
      name(engine, `${full}. ${t("header.engineTitle")}`);
      const length = (status?.queue.length ?? 0) + (status?.queue.running ?? 0);
      queue.hidden = length === 0 || !reachable;
      setText(queue, t("header.queue", { count: length }));
      nameStep(undo, past.at(-1), "header.undo", "header.undoStep");
      nameStep(redo, future.at(-1), "header.redo", "header.redoStep");
    },
  };
}

/** Theme, language, and help where there is no room for its own button. @param {() => void} openHelp */
function settingsButton(openHelp) {
  const button = menuButton(iconButton("settings", t("header.settings"), () => {}), () => ({
    label: t("header.settings"),
    entries: [
      t("theme.title"),
      ...THEMES.map((theme) => ({ label: t(`theme.${theme}`), icon: theme, checked: themeOf() === theme, run: () => setTheme(theme) })),
      t("language.title"),
      ...LANGUAGES.map(({ tag, name }) => ({ label: name, checked: tag === language, run: () => speak(tag) })),
      "",
      { label: t("header.help"), icon: /** @type {const} */ ("help"), key: "?", run: openHelp },
    ],
  }));
  button.classList.add("settings");
  return button;
}

/** @type {Record<import("../state/engine.js").EngineState, "ready" | "wait" | "gone">} */
const LOOKS = { ready: "ready", loading: "wait", unknown: "wait", failed: "gone", unreachable: "gone" };

/**
 * What the chip says: `first` always, `second` where there is room, `full` to screen readers and under the pointer.
 * @param {import("../types.js").Status | null} status
 * @param {boolean} reachable
 */
function engineWords(status, reachable) {
  if (!reachable) return { first: t("header.engineGone"), second: "", full: t("header.engineGone") };
  if (status === null) return { first: t("header.engineUnknown"), second: "", full: t("header.engineUnknown") };
  const [label, ...device] = status.engine_label.split(" · ");
  if (status.state === "ready") {
    return { first: label, second: device.map((part) => ` · ${part}`).join(""), full: status.engine_label };
  }
  const state = t(status.state === "failed" ? "header.engineFailed" : "header.engineLoading");
  return { first: state, second: ` · ${label}`, full: t("header.engineNamed", { label, state: state.toLowerCase() }) };
}

/**
 * @param {HTMLButtonElement} button
 * @param {import("../types.js").Step | undefined} step
 * @param {"header.undo" | "header.redo"} plain
 * @param {"header.undoStep" | "header.redoStep"} named
 */
function nameStep(button, step, plain, named) {
  button.disabled = step === undefined;
  name(button, step === undefined ? t(plain) : t(named, { label: t(step.title, step.about) }));
}

/** @param {Element} element @param {string} label */
function name(element, label) {
  setAttribute(element, "aria-label", label);
  setAttribute(element, "title", label);
}
