import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { createProjectShelf } from "../projects/shelf.js";
import { callout } from "../shell/fields.js";
import { filePicker, sampleShelf } from "../shell/files.js";

/** What an empty stage says. @param {StartActions} actions @param {() => void} openProjects @returns {View} */
export function createWelcome(actions, openProjects) {
  const title = h("h2");
  const words = h("p");
  const error = callout();
  const recent = createProjectShelf(actions, openProjects);
  const element = h(
    "div.welcome",
    h(
      "div.welcome-drop",
      h("div.welcome-mark", icon("logo")),
      title,
      words,
      h(
        "div.welcome-buttons",
        filePicker({ label: t("source.choose"), look: "primary", onfile: actions.openFile }),
        filePicker({ label: t("source.camera"), look: "", onfile: actions.openFile, camera: true }),
      ),
      error.element,
    ),
    h("p.welcome-or", t("source.samples")),
    sampleShelf(actions),
    recent.element,
  );
  return {
    element,
    render: (state) => {
      element.hidden = state.doc.width > 0 || state.entering;
      element.classList.toggle("busy", state.upload !== null);
      setText(title, state.upload?.name ?? t("stage.welcome"));
      setText(words, t(state.upload === null ? "stage.welcomeText" : "source.uploading"));
      error.set(state.sourceError);
      recent.render(state);
    },
  };
}
