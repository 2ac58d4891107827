import { h, isTyping, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";

/**
 * A picture or a file of layers can be dropped anywhere and pasted at any time. Whatever is dropped, the browser never
 * leaves the page for it.
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

/** Whether words are on their way into a field. @param {DragEvent} event */
const isText = (event) => isTyping(event) && !event.dataTransfer?.types.includes("Files");
