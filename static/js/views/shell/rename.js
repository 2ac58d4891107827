import { h } from "../../dom.js";

/**
 * A field that takes the place of a name while it is changed: Enter keeps, Esc does not, leaving the field keeps.
 * @param {{label: string, stands: HTMLElement, onname: (name: string) => void}} about   `stands`: what is there otherwise
 */
export function createRename({ label, stands, onname }) {
  const field = h("input.input.rename", { "aria-label": label, hidden: true, maxLength: 80 });
  let before = "";

  /** @param {boolean} keep */
  function end(keep) {
    if (field.hidden) return;
    const focused = document.activeElement === field;
    field.hidden = true;
    stands.hidden = false;
    const name = field.value.trim();
    if (keep && name !== "" && name !== before) onname(name);
    if (focused) stands.focus();
  }

  field.addEventListener("blur", () => end(true));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") {
      event.preventDefault();
      end(event.key === "Enter");
    }
    event.stopPropagation();
  });
  return {
    element: field,
    /** @param {string} [name]   what the field starts with; else what stands there */
    begin: (name = stands.textContent ?? "") => {
      before = name;
      field.value = name;
      field.hidden = false;
      stands.hidden = true;
      field.focus();
      field.select();
    },
  };
}
