import { h, isTyping } from "../../dom.js";
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
 * Open a menu at a button, or at a place: arrow keys, Home, End, letters, Esc; below 760 px it is a sheet from below.
 *
 * @param {HTMLElement} anchor   which gets the focus afterwards
 * @param {string} label
 * @param {Entry[]} entries
 * @param {DOMRect | null} [at]
 */
function openMenu(anchor, label, entries, at = null) {
  menus += 1;
  // The pointer that opened a context menu is still down, and would close it on release.
  const popover = at === null ? "auto" : "manual";
  const look = { class: "menu", role: "menu", id: `menu-${menus}`, "aria-label": label, popover };
  const element = h("div", look, ...entries.map((entry) => entryElement(entry, close)));
  const items = /** @type {HTMLButtonElement[]} */ ([...element.querySelectorAll("button:not(:disabled)")]);

  function close() {
    element.hidePopover();
    anchor.focus();
  }

  element.addEventListener("keydown", (event) => {
    const now = items.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const next = { ArrowDown: now + 1, ArrowUp: now < 0 ? -1 : now - 1, Home: 0, End: -1 }[event.key] ?? byLetter(items, event.key, now);
    const escapes = at !== null && event.key === "Escape"; // the browser handles the others
    if (escapes) event.preventDefault();
    if (event.key === "Tab" || escapes) close();
    event.stopPropagation();
    if (next === null) return;
    event.preventDefault();
    items.at(next % items.length)?.focus();
  });
  element.addEventListener("toggle", (event) => {
    const open = /** @type {ToggleEvent} */ (event).newState === "open";
    if (at === null) anchor.setAttribute("aria-expanded", String(open));
    if (open) return;
    removeEventListener("pointerdown", leave, true);
    const lost = element.contains(document.activeElement) || document.activeElement === document.body;
    element.remove();
    if (lost) anchor.focus();
  });

  /** @param {PointerEvent} event */
  function leave({ target }) {
    if (!element.contains(/** @type {Node} */ (target))) element.hidePopover();
  }
  if (at !== null) {
    addEventListener("pointerdown", leave, true);
    // The finger that opened it may be over an item when it is lifted.
    let pressed = false;
    element.addEventListener("pointerdown", () => (pressed = true));
    element.addEventListener("click", (event) => event.detail > 0 && !pressed && event.stopPropagation(), true);
  }

  // Elements outside of an open modal dialog are inert.
  (anchor.closest("dialog") ?? document.body).append(element);
  element.showPopover();
  place(element, at ?? anchor.getBoundingClientRect());
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

/** Duration of a long press; some browsers report it themselves, others do not. */
const LONG_MS = 550;
/** A larger movement is not a long press. */
const SLACK_PX = 10;

/**
 * A menu by the right button, the menu key or a long press.
 * @param {HTMLElement} element
 * @param {(target: HTMLElement, at: Point | null) => {label: string, anchor: HTMLElement, entries: Entry[]} | null} about   `at`: in the window, null by a key
 */
export function contextMenu(element, about) {
  let timer = 0;

  /** @param {EventTarget | null} target @param {Point | null} at */
  function open(target, at) {
    clearTimeout(timer);
    if (document.querySelector(".menu") !== null) return true;
    const found = about(/** @type {HTMLElement} */ (target), at);
    if (found === null) return false;
    openMenu(found.anchor, found.label, found.entries, at === null ? found.anchor.getBoundingClientRect() : new DOMRect(at.x, at.y));
    return true;
  }

  element.addEventListener("contextmenu", (event) => {
    if (isTyping(event)) return;
    const byKey = event.button === 0 && !event.ctrlKey && /** @type {PointerEvent} */ (event).pointerType !== "touch";
    if (open(event.target, byKey ? null : { x: event.clientX, y: event.clientY })) event.preventDefault();
  });
  element.addEventListener("pointerdown", (down) => {
    clearTimeout(timer);
    if (down.pointerType !== "touch" || !down.isPrimary) return;
    const { clientX: x, clientY: y, target } = down;
    const lasts = new AbortController();
    const follow = (/** @type {Event} */ event) => {
      const { type, clientX, clientY } = /** @type {PointerEvent} */ (event);
      if (type === "pointermove" && Math.hypot(clientX - x, clientY - y) <= SLACK_PX) return;
      clearTimeout(timer);
      lasts.abort();
    };
    for (const name of ["pointermove", "pointerup", "pointercancel"])
      addEventListener(name, follow, { capture: true, signal: lasts.signal });
    timer = setTimeout(() => open(target, { x, y }), LONG_MS);
  });
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

/** Below a button, or above it where there is more room. @param {HTMLElement} element @param {DOMRect} at */
function place(element, at) {
  const size = element.getBoundingClientRect();
  const below = innerHeight - at.bottom - GAP - MARGIN;
  const up = size.height > below && at.top > below;
  const top = up ? Math.max(MARGIN, at.top - GAP - size.height) : at.bottom + GAP;
  const left = Math.min(at.left, innerWidth - size.width - MARGIN);
  element.style.setProperty("--menu-top", `${top}px`);
  element.style.setProperty("--menu-left", `${Math.max(MARGIN, left)}px`);
  element.style.setProperty("--menu-room", `${up ? at.top - GAP - MARGIN : below}px`);
}
