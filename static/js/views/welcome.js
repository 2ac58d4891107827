// @ts-check
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { strings } from "../strings.js";
import { callout } from "./fields.js";
import { filePicker, sampleShelf } from "./pickers.js";

/**
 * What an empty stage says.
 * @param {import("../types.js").Actions} actions
 * @returns {import("../types.js").View}
 */
export function createWelcome(actions) {
  const error = callout();
  const element = h(
    "div",
    { class: "welcome" },
    h(
      "div",
      { class: "welcome-drop" },
      h("div", { class: "welcome-mark" }, icon("logo")),
      h("h2", {}, strings.stage.welcome),
      h("p", {}, strings.stage.welcomeText),
      h(
        "div",
        { class: "welcome-buttons" },
        filePicker(actions, { label: strings.source.choose, look: "primary" }),
        filePicker(actions, { label: strings.source.camera, look: "", camera: true }),
      ),
      error.element,
    ),
    h("p", { class: "welcome-or" }, strings.source.samples),
    sampleShelf(actions),
  );
  return { element, render: ({ sourceError }) => error.set(sourceError) };
}
