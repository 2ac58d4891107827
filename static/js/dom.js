// @ts-check
/**
 * Build an element. `on…` keys are listeners, `class`, `role`, `for`, `popover`, `data-…` and `aria-…` attributes, the rest properties.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [props]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    else if (/^(class|role|for|popover|data-.*|aria-.*)$/.test(key)) setAttribute(element, key, value);
    else Reflect.set(element, key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Set an attribute, or take it away for null and undefined.
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * Change text only where it differs, so that screen readers and selections are left in peace.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Show a value in a field without moving the caret of somebody who types in it.
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {string} value
 */
export function setValue(field, value) {
  if (field.value !== value) field.value = value;
}

/**
 * Put a value on a slider and colour its track up to the thumb.
 * @param {HTMLInputElement} slider
 * @param {number} value
 */
export function setSlider(slider, value) {
  setValue(slider, String(value));
  const [min, max] = [Number(slider.min), Number(slider.max)];
  slider.style.setProperty("--fill", `${((value - min) / (max - min)) * 100}%`);
}

/** Whether a key event belongs to a field that takes text. @param {Event} event */
export function isTyping(event) {
  const target = event.target;
  if (target instanceof HTMLInputElement) return !["range", "radio", "checkbox", "file"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
