import { h, isTyping, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { base } from "../../transport/api.js";
import { createProjectShelf } from "../projects/shelf.js";
import { callout } from "./fields.js";

/** Layered files in the form of file dialogs. */
export const LAYER_FILES = ".zip,.psd,.ora,.svg";
const ANYTHING = `image/*,${LAYER_FILES}`;

/**
 * A button that opens the system's file dialog; with `camera` the camera, on devices that have one.
 *
 * @param {object} about
 * @param {string} about.label
 * @param {string} [about.title]
 * @param {string} about.look   classes
 * @param {(file: File) => void} [about.onfile]
 * @param {(files: File[]) => void} [about.onfiles]   instead of `onfile`, for several files
 * @param {boolean} [about.camera]
 * @param {string} [about.accept]
 * @param {IconName} [about.icon]
 */
export function filePicker({
  label,
  title,
  look,
  onfile,
  onfiles,
  camera = false,
  accept = camera ? "image/*" : ANYTHING,
  icon: name = camera ? "camera" : "picture",
}) {
  const input = h("input", {
    type: "file",
    accept,
    class: "visually-hidden",
    tabIndex: -1,
    "aria-hidden": "true",
    multiple: onfiles !== undefined,
  });
  if (camera) input.setAttribute("capture", "environment");
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    if (files.length > 0) onfiles ? onfiles(files) : onfile?.(files[0]);
    // Reset, so that the same file can be chosen again.
    input.value = "";
  });
  const button = h(
    "button",
    { class: `button ${look}`, type: "button", title: title ?? "", onclick: () => input.click() },
    icon(name),
    label,
  );
  return h("span", { class: camera ? "picker camera" : "picker" }, button, input);
}

const SAMPLES = /** @type {const} */ (["house", "poster", "still_life", "night"]);

/** @param {StartActions} actions */
export function sampleShelf(actions) {
  const tiles = SAMPLES.map((name) =>
    h(
      "button.sample",
      { onclick: () => actions.openSample(name) },
      h("img", { src: `${base}/static/samples/${name}.webp`, alt: "", width: 120, height: 90, decoding: "async" }),
      h("span", t(`sample.${name}`)),
    ),
  );
  return h("div.samples", ...tiles);
}

/**
 * A picture or a layered file can be dropped anywhere and pasted at any time. Whatever is dropped, the browser never
 * leaves the page for it.
 * @param {StartActions} actions
 */
export function createDrop(actions) {
  const words = h("span");
  const element = h("div.drop-veil", { hidden: true }, h("p", icon("picture"), words));
  // Entering a child fires before leaving its parent: the overlay disappears after both have been left.
  let inside = 0;

  /** @param {boolean} on */
  function veil(on) {
    inside = on ? inside : 0;
    element.hidden = !on;
    if (on) setText(words, t(document.body.dataset.has === "layers" ? "source.dropLayer" : "source.drop"));
  }

  addEventListener("dragenter", (event) => {
    if (isText(event)) return;
    event.preventDefault();
    inside += 1;
    veil(true);
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) veil(false);
  });
  addEventListener("dragover", (event) => isText(event) || event.preventDefault());
  addEventListener("drop", (event) => {
    veil(false);
    if (isText(event)) return;
    event.preventDefault();
    actions.receiveTransfer(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (isTyping(event) && !event.clipboardData?.files.length) return;
    event.preventDefault();
    actions.receiveTransfer(event.clipboardData);
  });
  return element;
}

/** Whether text is being dragged into a field. @param {DragEvent} event */
const isText = (event) => isTyping(event) && !event.dataTransfer?.types.includes("Files");

/** The content of an empty stage. @param {StartActions} actions @param {() => void} openProjects @returns {View} */
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
