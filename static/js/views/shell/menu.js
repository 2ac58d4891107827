import { h } from "../../dom.js";
import { icon } from "../../icons.js";

/**
 * @typedef {object} Item
 * @property {string} label
 * @property {string} [about]      a second line
 * @property {IconName} [icon]
 * @property {string} [key]        the shortcut
 * @property {boolean} [checked]   of a choice of one
 * @property {boolean} [disabled]
 * @property {boolean} [danger]
 * @property {() => void} run
 *
 * @typedef {Item | string} Entry   a string is the heading of what follows, "" a line
 */

const GAP = 6;
const MARGIN = 8;
let menus = 0;

/**
 * Open a menu at a button: arrow keys, Home, End, letters, Esc; below 760 px it is a sheet from below.
 *
 * @param {HTMLElement} anchor
 * @param {string} label
 * @param {Entry[]} entries
 */
function openMenu(anchor, label, entries) {
  menus += 1;
  const look = { class: "menu", role: "menu", id: `menu-${menus}`, "aria-label": label, popover: "auto" };
  const element = h("div", look, ...entries.map((entry) => entryElement(entry, close)));
  const items = /** @type {HTMLButtonElement[]} */ ([...element.querySelectorAll("button:not(:disabled)")]);

  function close() {
    element.hidePopover();
    anchor.focus();
  }

  element.addEventListener("keydown", (event) => {
    const now = items.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const next = { ArrowDown: now + 1, ArrowUp: now < 0 ? -1 : now - 1, Home: 0, End: -1 }[event.key] ?? byLetter(items, event.key, now);
    if (event.key === "Tab") close();
    event.stopPropagation();
    if (next === null) return;
    event.preventDefault();
    items.at(next % items.length)?.focus();
  });
  element.addEventListener("toggle", (event) => {
    const open = /** @type {ToggleEvent} */ (event).newState === "open";
    anchor.setAttribute("aria-expanded", String(open));
    if (open) return;
    const lost = element.contains(document.activeElement) || document.activeElement === document.body;
    element.remove();
    if (lost) anchor.focus();
  });

  // What is outside of a modal dialog cannot be reached while it is open.
  (anchor.closest("dialog") ?? document.body).append(element);
  element.showPopover();
  place(element, anchor);
  (items.find((item) => item.getAttribute("aria-checked") === "true") ?? items[0])?.focus();
}

/** A button that opens a menu. @param {HTMLButtonElement} button @param {() => {label: string, entries: Entry[]}} about */
export function menuButton(button, about) {
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const { label, entries } = about();
    openMenu(button, label, entries);
  });
  return button;
}

/** @param {Entry} entry @param {() => void} close */
function entryElement(entry, close) {
  if (entry === "") return h("hr");
  if (typeof entry === "string") return h("p.menu-heading", { role: "presentation" }, entry);
  const { label, about, checked, key, danger, disabled = false, run } = entry;
  const name = entry.icon ?? (checked === true ? "check" : null);
  return h(
    "button",
    {
      class: danger ? "menu-item danger" : "menu-item",
      type: "button",
      role: checked === undefined ? "menuitem" : "menuitemradio",
      "aria-checked": checked,
      disabled,
      tabIndex: -1,
      onclick: () => {
        close();
        run();
      },
    },
    h("span.menu-icon", name === null ? null : icon(name)),
    h("span.menu-words", h("span", label), about === undefined ? null : h("span.hint", about)),
    key === undefined ? null : h("kbd", { "aria-hidden": "true" }, key),
  );
}

/** @param {HTMLButtonElement[]} items @param {string} key @param {number} now */
function byLetter(items, key, now) {
  if (key.length !== 1 || key === " ") return null;
  const starts = (/** @type {HTMLButtonElement} */ item) => item.textContent?.trim().toLowerCase().startsWith(key.toLowerCase());
  const found = [...items.slice(now + 1), ...items.slice(0, now + 1)].find(starts);
  return found === undefined ? null : items.indexOf(found);
}

/** Below the button, or above it where there is more room. @param {HTMLElement} element @param {HTMLElement} anchor */
function place(element, anchor) {
  const [at, size] = [anchor.getBoundingClientRect(), element.getBoundingClientRect()];
  const below = innerHeight - at.bottom - GAP - MARGIN;
  const up = size.height > below && at.top > below;
  const top = up ? Math.max(MARGIN, at.top - GAP - size.height) : at.bottom + GAP;
  const left = Math.min(at.left, innerWidth - size.width - MARGIN);
  element.style.setProperty("--menu-top", `${top}px`);
  element.style.setProperty("--menu-left", `${Math.max(MARGIN, left)}px`);
  element.style.setProperty("--menu-room", `${up ? at.top - GAP - MARGIN : below}px`);
}
