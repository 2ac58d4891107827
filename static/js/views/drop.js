import { h, setText } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { pictureIn } from "../images/files.js";

/**
 * A picture can be dropped anywhere and pasted at any time: dropped onto the stack, or pasted while there is one, it is a
 * layer more.
 * @param {StartActions} actions
 */
export function createDrop(actions) {
  const words = h("span");
  const element = h("div.drop-veil", { hidden: true }, h("p", icon("picture"), words));
  // Entering a child fires before leaving its parent: the veil goes when both have been left.
  let inside = 0;

  /** @param {boolean} on */
  function veil(on) {
    inside = on ? inside : 0;
    element.hidden = !on;
  }

  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    inside += 1;
    veil(true);
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) veil(false);
  });
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    setText(words, t(isOntoStack(event) ? "source.dropLayer" : "source.drop"));
  });
  addEventListener("drop", (event) => {
    veil(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    const file = pictureIn(event.dataTransfer);
    if (isOntoStack(event)) actions.addPicture(file);
    else actions.openFile(file);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) actions.addPicture(pictureIn(event.clipboardData));
  });
  return element;
}

/** @param {Event} event */
const isOntoStack = (event) => event.target instanceof Element && event.target.closest("[data-has=layers] .layers") !== null;

/** @param {DragEvent} event */
const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
