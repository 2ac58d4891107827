import { h, setLabel, setText } from "../../dom.js";
import { engineDevice, engineName, LANGUAGES, language, t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { engineState } from "../../state/initial.js";
import { keepChoice } from "../../state/snapshot.js";
import { base } from "../../transport/api.js";
import { createProjectTitle } from "../projects/shelf.js";
import { iconButton } from "./fields.js";
import { menuButton } from "./menu.js";

/** @param {StartActions} actions @param {{openEngine: () => void, openHelp: () => void, openProjects: () => void, openJobs: () => void}} dialogs @returns {View} */
export function createHeader(actions, { openEngine, openHelp, openProjects, openJobs }) {
  const engineText = h("span.engine-text");
  const device = h("span.device");
  const engine = h("button.engine", { onclick: openEngine }, h("span.dot"), engineText, device);
  const queue = h("button.queue.number", { title: t("header.queueTitle"), onclick: openJobs });
  const undo = iconButton("undo", t("header.undo"), actions.undo);
  const redo = iconButton("redo", t("header.redo"), actions.redo);
  const help = iconButton("help", t("header.help"), openHelp);
  help.classList.add("help");
  const project = createProjectTitle(actions, openProjects);
  const home = h("a.brand", { href: `${base}/`, title: t("header.home") }, icon("logo"), h("h1", t("name")));
  home.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    actions.newProject();
  });

  const element = h(
    "header.header",
    h("div.header-start", home, project.element),
    h("div.header-end", engine, queue, undo, redo, settingsButton(openHelp, openJobs, actions.logOut), help),
  );

  return {
    element,
    render: (state) => {
      const { status, reachable, past, future } = state;
      const { first, second, full } = engineWords(status, reachable);
      project.render(state);
      setText(engineText, first);
      setText(device, second);
      engine.dataset.state = LOOKS[engineState(status, reachable)] ?? "wait";
      setLabel(engine, `${full}. ${t("header.engineTitle")}`);
      const length = (status?.queue.length ?? 0) + (status?.queue.running ?? 0);
      queue.hidden = length === 0 || !reachable;
      setText(queue, t("header.queue", { count: length }));
      nameStep(undo, past.at(-1), "header.undo", "header.undoStep");
      nameStep(redo, future.at(-1), "header.redo", "header.redoStep");
    },
  };
}

const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @param {typeof THEMES[number]} theme */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  keepChoice("theme", theme);
}

/** Read the page in another language, which takes a reload. @param {string} tag */
const speak = (tag) => keepChoice("language", tag) && location.reload();

/** Jobs, theme, language, help where there is no room for its own button, and the end of a login. @param {() => void} openHelp @param {() => void} openJobs @param {() => void} logOut */
function settingsButton(openHelp, openJobs, logOut) {
  const button = menuButton(
    iconButton("settings", t("header.settings"), () => {}),
    () => ({
      label: t("header.settings"),
      entries: [
        { label: t("jobs.title"), icon: /** @type {const} */ ("jobs"), key: "J", run: openJobs },
        "",
        t("theme.title"),
        ...THEMES.map((theme) => ({
          label: t(`theme.${theme}`),
          checked: document.documentElement.dataset.theme === theme,
          run: () => setTheme(theme),
        })),
        t("language.title"),
        ...LANGUAGES.map(({ tag, name }) => ({ label: name, checked: tag === language, run: () => speak(tag) })),
        "",
        { label: t("header.help"), icon: /** @type {const} */ ("help"), key: "?", run: openHelp },
        ...("login" in document.body.dataset ? [{ label: t("header.logOut"), icon: /** @type {const} */ ("close"), run: logOut }] : []),
      ],
    }),
  );
  button.classList.add("settings");
  return button;
}

/** @type {Record<EngineState, "ready" | "wait" | "gone">} */
const LOOKS = { ready: "ready", unloaded: "ready", loading: "wait", unknown: "wait", failed: "gone", unreachable: "gone" };

/**
 * What the chip says: `first` always, `second` where there is room, `full` to screen readers and under the pointer.
 * @param {Status | null} status
 * @param {boolean} reachable
 */
function engineWords(status, reachable) {
  if (!reachable) return { first: t("header.engineGone"), second: "", full: t("header.engineGone") };
  if (status === null) return { first: t("header.engineUnknown"), second: "", full: t("header.engineUnknown") };
  const [label, device] = [engineName(status.engine), engineDevice(status)];
  if (status.state === "ready") return { first: label, second: device && ` · ${device}`, full: device ? `${label} · ${device}` : label };
  const state = t(`header.engine.${status.state}`);
  return { first: state, second: ` · ${label}`, full: t("header.engineNamed", { label, state: state.toLowerCase() }) };
}

/**
 * @param {HTMLButtonElement} button
 * @param {Step | undefined} step
 * @param {"header.undo" | "header.redo"} plain
 * @param {"header.undoStep" | "header.redoStep"} named
 */
function nameStep(button, step, plain, named) {
  button.disabled = step === undefined;
  setLabel(button, step === undefined ? t(plain) : t(named, { label: t(step.title, step.about) }));
}
