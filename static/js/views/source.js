// @ts-check
import { h, setAttribute, setText, setValue } from "../dom.js";
import { estimate, isDecomposing, workingSize } from "../actions/decompose.js";
import { LIMITS } from "../state/initial.js";
import { isSeed } from "../state/seed.js";
import { strings } from "../strings.js";
import { callout, samplingFold, segmented, sliderField, uniqueId } from "./fields.js";
import { filePicker } from "./pickers.js";

const text = strings.source;

/**
 * The picture that goes in, and how it is to be taken apart.
 * @param {import("../types.js").Actions} actions
 */
export function createSource(actions) {
  const picture = createPictureBox(actions);
  const prompt = createPrompt(actions);
  const layers = sliderField({ label: text.layers, limits: LIMITS.layers, oninput: (layerNum) => actions.set({ layerNum }) });
  const size = segmented({
    label: text.sizeLabel,
    options: /** @type {["640" | "1024" | "original", string][]} */ (Object.entries(text.sizes).sort(([a], [b]) => a.length - b.length)),
    onpick: (value) => actions.set({ size: value }),
  });
  const fold = samplingFold((patch) => actions.set(patch), text.classicalHint);
  const error = callout();
  const button = h("button", { class: "button primary wide", type: "button", onclick: actions.decompose });

  const element = h(
    "section",
    { class: "panel source", "aria-label": text.region },
    h("h2", { class: "heading" }, text.title),
    picture.element,
    prompt.element,
    layers.element,
    h("div", { class: "field" }, h("span", { class: "label" }, text.sizeLabel), size.element),
    fold.element,
    error.element,
    button,
  );

  return {
    element,
    /** Go on with the button when what had the focus is gone. */
    focus: () => {
      if (document.activeElement === document.body) button.focus({ preventScroll: true });
    },
    render: (/** @type {import("../types.js").State} */ state) => {
      const classical = state.status?.engine === "classical";
      picture.render(state);
      prompt.element.hidden = classical;
      prompt.set(state.settings.prompt);
      layers.set(state.settings.layerNum);
      size.set(state.settings.size);
      fold.render(state.settings, classical);
      error.set(state.sourceError);
      const busy = isDecomposing(state);
      button.disabled = busy || state.project.picture === null || state.upload !== null || !isSeed(state.settings.seed);
      setText(button, busy ? text.decomposing : buttonText(state));
    },
  };
}

/** @param {import("../types.js").Actions} actions */
function createPrompt(actions) {
  const id = uniqueId("prompt");
  const field = h("textarea", { class: "input", id, rows: 2, placeholder: text.promptPlaceholder });
  field.addEventListener("input", () => actions.set({ prompt: field.value }));
  const head = h("div", { class: "field-head" }, h("label", { class: "label", for: id }, text.prompt), h("span", { class: "hint" }, text.optional));
  return {
    element: h("div", { class: "field" }, head, field),
    set: (/** @type {string} */ value) => setValue(field, value),
  };
}

/** @param {import("../types.js").Actions} actions @returns {import("../types.js").View} */
function createPictureBox(actions) {
  const image = h("img", { class: "source-picture", alt: "", decoding: "async" });
  const frame = h("div", { class: "source-frame checkerboard" }, image, filePicker(actions, { label: text.replace, look: "small" }));
  const name = h("strong");
  const facts = h("span", { class: "hint number" });
  const caption = h("p", { class: "source-caption" }, name, facts);
  const empty = filePicker(actions, { label: text.empty, look: "source-empty" });
  return {
    element: h("div", { class: "source-box" }, frame, caption, empty),
    render: (state) => {
      const { project, upload } = state;
      const address = upload?.preview ?? project.picture?.image ?? null;
      frame.hidden = caption.hidden = address === null;
      empty.hidden = address !== null;
      if (address !== null) setAttribute(image, "src", address);
      setText(name, upload?.name ?? project.picture?.name ?? "");
      setText(facts, upload !== null ? text.uploading : factsOf(state));
    },
  };
}

/** @param {import("../types.js").State} state */
function factsOf(state) {
  const { project, settings, status } = state;
  if (project.picture === null) return "";
  const own = text.size(project.picture.width, project.picture.height);
  if (settings.size === "original" && status?.engine === "classical") return `${own} · ${text.runsAsIs}`;
  const { width, height } = workingSize(state, project.picture);
  return `${own} · ${text.runsAt(width, height)}`;
}

/** @param {import("../types.js").State} state */
function buttonText(state) {
  const seconds = estimate(state);
  return seconds === null ? text.decompose : text.decomposeAbout(seconds);
}
