// @ts-check
import { h } from "../dom.js";
import { pictureIn } from "../images/files.js";
import { icon } from "../icons.js";
import { strings } from "../strings.js";

/**
 * A picture can be dropped anywhere and pasted at any time.
 * @param {import("../types.js").Actions} actions
 */
export function createDrop(actions) {
  const element = h("div", { class: "drop-veil", hidden: true }, h("p", {}, icon("picture"), strings.source.drop));
  // Entering a child fires before leaving its parent: the veil goes when both have been left.
  let inside = 0;

  /** @param {boolean} on */
  function veil(on) {
    inside = on ? inside : 0;
    element.hidden = !on;
  }

  addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    inside += 1;
    veil(true);
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) veil(false);
  });
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    veil(false);
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    actions.openFile(pictureIn(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) actions.openFile(pictureIn(event.clipboardData));
  });
  return element;
}
