// @ts-check
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { strings } from "../strings.js";

/**
 * A button that opens the system's file dialog; with `capture` the camera, on devices that have one.
 *
 * @param {import("../types.js").Actions} actions
 * @param {{label: string, look: string, camera?: boolean}} about
 */
export function filePicker(actions, { label, look, camera = false }) {
  const input = h("input", { type: "file", accept: "image/*", class: "visually-hidden", tabIndex: -1, "aria-hidden": "true" });
  if (camera) input.setAttribute("capture", "environment");
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) actions.openFile(file);
    // The same file may be chosen again.
    input.value = "";
  });
  const button = h("button", { class: `button ${look}`, type: "button", onclick: () => input.click() }, icon(camera ? "camera" : "picture"), label);
  return h("span", { class: camera ? "picker camera" : "picker" }, button, input);
}

/** @param {import("../types.js").Actions} actions */
export function sampleShelf(actions) {
  const names = /** @type {(keyof typeof strings.samples)[]} */ (Object.keys(strings.samples));
  const tiles = names.map((name) =>
    h(
      "button",
      { class: "sample", type: "button", onclick: () => actions.openSample(name) },
      h("img", { src: `/static/samples/${name}.webp`, alt: "", width: 120, height: 90, decoding: "async" }),
      h("span", {}, strings.samples[name]),
    ),
  );
  return h("div", { class: "samples" }, ...tiles);
}
