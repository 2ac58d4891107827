/**
 * Build an element: its tag and classes as "tag.class.class", then in any order properties, children, and nulls, which
 * count for nothing. `on…` keys are listeners, `class`, `role`, `for`, `popover`, `data-…` and `aria-…` attributes.
 *
 * @template {string} S
 * @param {S} what
 * @param {...(Record<string, unknown> | Node | string | null)} parts
 * @returns {Built<S>}
 */
export function h(what, ...parts) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (tag === "button") setAttribute(element, "type", "button");
  if (classes.length > 0) element.className = classes.join(" ");
  for (const part of parts) {
    if (part instanceof Node || typeof part === "string") element.append(part);
    else for (const [key, value] of Object.entries(part ?? {})) setProperty(element, key, value);
  }
  return /** @type {Built<S>} */ (element);
}

/** @param {Element} element @param {string} key @param {unknown} value */
function setProperty(element, key, value) {
  if (key.startsWith("on")) element.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
  else if (/^(class|role|for|popover|data-.*|aria-.*)$/.test(key)) setAttribute(element, key, value);
  else Reflect.set(element, key, value);
}

/** Set an attribute, or remove it for null and undefined. @param {Element} element @param {string} name @param {unknown} value */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Set an element's label for screen readers, and its tooltip. @param {Element} element @param {string} label @param {string} [title] */
export function setLabel(element, label, title = label) {
  setAttribute(element, "aria-label", label);
  setAttribute(element, "title", title);
}

/** Change text only if it differs, so that screen readers and selections are not disturbed. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set text from the server, in which `backquotes` mark code. @param {Element} element @param {string} text */
export function setProse(element, text) {
  const parts = text.split("`");
  if (element.textContent !== parts.join("")) element.replaceChildren(...parts.map((part, index) => (index % 2 ? h("code", part) : part)));
}

/** Set a value without moving the caret during typing. @param {HTMLInputElement | HTMLTextAreaElement} field @param {string} value */
export function setValue(field, value) {
  if (field.value !== value) field.value = value;
}

/** Put a value on a slider and color its track up to the thumb. @param {HTMLInputElement} slider @param {number} value */
export function setSlider(slider, value) {
  setValue(slider, String(value));
  const [min, max] = [Number(slider.min), Number(slider.max)];
  slider.style.setProperty("--fill", `${((value - min) / (max - min)) * 100}%`);
}

/** Whether a key event belongs to a text field. @param {Event} event */
export function isTyping({ target }) {
  if (target instanceof HTMLInputElement) return !["range", "radio", "checkbox", "file"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
