import { h } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";
import { base } from "../../transport/base.js";

/** Files of layers, as file dialogs know them. */
export const LAYER_FILES = ".zip,.psd,.ora";
const ANYTHING = `image/*,.svg,${LAYER_FILES}`;

/**
 * A button that opens the system's file dialog; with `camera` the camera, on devices that have one.
 *
 * @param {object} about
 * @param {string} about.label
 * @param {string} [about.title]
 * @param {string} about.look   classes
 * @param {(file: File) => void} [about.onfile]
 * @param {(files: File[]) => void} [about.onfiles]   in place of `onfile`, where several may be chosen at once
 * @param {boolean} [about.camera]
 * @param {string} [about.accept]
 * @param {IconName} [about.icon]
 */
export function filePicker({ label, title, look, onfile, onfiles, camera = false, accept = camera ? "image/*" : ANYTHING, icon: name = camera ? "camera" : "picture" }) {
  const input = h("input", { type: "file", accept, class: "visually-hidden", tabIndex: -1, "aria-hidden": "true", multiple: onfiles !== undefined });
  if (camera) input.setAttribute("capture", "environment");
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    if (files.length > 0) onfiles ? onfiles(files) : onfile?.(files[0]);
    // The same file may be chosen again.
    input.value = "";
  });
  const button = h("button", { class: `button ${look}`, type: "button", title: title ?? "", onclick: () => input.click() }, icon(name), label);
  return h("span", { class: camera ? "picker camera" : "picker" }, button, input);
}

const SAMPLES = /** @type {const} */ (["house", "poster", "night", "balloons"]);

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
