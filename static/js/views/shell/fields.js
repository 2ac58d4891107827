import { h, setProse, setSlider, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon } from "../../icons.js";

let fields = 0;

/** A page-wide unique id, for labels. @param {string} stem */
export function uniqueId(stem) {
  fields += 1;
  return `${stem}-${fields}`;
}

/** Content that unfolds from one line. @param {HTMLElement} title @param {...HTMLElement} body */
export const fold = (title, ...body) => h("details.fold", h("summary", icon("chevron"), title), ...body);

/** A control under its label. @param {string} label @param {HTMLElement} control @param {HTMLElement | null} [beside]   the label @param {HTMLElement | null} [below] */
export function field(label, control, beside = null, below = null) {
  const name = control.id ? h("label.label", { for: control.id }, label) : h("span.label", label);
  return h("div.field", h("div.field-head", name, beside), control, below);
}

/** A choice of a few visible options. @template {string} T @param {{label: string, options: [T, string][], onpick: (value: T) => void}} about */
export function segmented({ label, options, onpick }) {
  const name = uniqueId("choice");
  const radios = options.map(([value]) => h("input", { type: "radio", name, value, onchange: () => onpick(value) }));
  const element = h(
    "div.segmented",
    { role: "radiogroup", "aria-label": label },
    ...radios.map((radio, i) => h("label", radio, h("span", options[i][1]))),
  );
  /** @param {T} value @param {readonly T[]} [offered]   of the options; all of them by default */
  const set = (value, offered) => {
    for (const radio of radios) {
      radio.checked = radio.value === value;
      if (radio.parentElement) radio.parentElement.hidden = offered?.includes(/** @type {T} */ (radio.value)) === false;
    }
  };
  return { element, set };
}

/** A slider under its label and value; it is disabled until its limits are known. @param {{label: string, step?: number, oninput: (value: number) => void}} about */
export function sliderField({ label, step = 1, oninput }) {
  const id = uniqueId("slider");
  const value = h("output.value", { for: id });
  const slider = h("input.slider", {
    type: "range",
    id,
    step: String(step),
    oninput: () => oninput(slider.valueAsNumber),
  });
  /** @param {number} number @param {readonly number[]} [limits] @param {string} [words]   instead of a number that is not set here */
  const set = (number, limits, words) => {
    slider.disabled = limits === undefined || words !== undefined;
    [slider.min, slider.max] = (limits ?? [0, 0]).map(String);
    setSlider(slider, number);
    setText(value, words ?? String(number));
  };
  return { element: field(label, slider, value), set };
}

/** A message longer than this shows its first sentences; the rest unfolds. */
const LONG = 160;

/** A message about something that went wrong; a new one is scrolled into view. @param {...HTMLElement} below   what to do about it */
export function callout(...below) {
  let shown = "";
  const text = h("p");
  const rest = h("p");
  const more = fold(h("span", t("error.more")), rest);
  const element = h("div.callout", { role: "alert", hidden: true }, icon("warning"), h("div", text, more, ...below));
  /** @param {string | null} message */
  const set = (message) => {
    element.hidden = message === null;
    if (shown === (message ?? "")) return;
    shown = message ?? "";
    const [first, others] = split(shown);
    setProse(text, first);
    setProse(rest, others);
    more.hidden = others === "";
    more.open = false;
    if (message !== null) requestAnimationFrame(() => element.scrollIntoView({ block: "nearest", behavior: scrolling() }));
  };
  return { element, set };
}

/** The sentences that are always shown, at least one, and the others. @param {string} message */
function split(message) {
  const sentences = message.split(/(?<=[.!?]["”’)]?)\s+/);
  let count = 1;
  while (sentences.slice(0, count + 1).join(" ").length <= LONG && count < sentences.length) count += 1;
  return [sentences.slice(0, count).join(" "), sentences.slice(count).join(" ")];
}

/** The page's own scroll behavior. @returns {ScrollBehavior} */
const scrolling = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth");

/** @param {IconName} name @param {string} label @param {() => void} onclick */
export function iconButton(name, label, onclick) {
  return h("button.icon-button", { "aria-label": label, title: label, onclick }, icon(name));
}

/**
 * A field that replaces a name while it is edited: Enter and leaving the field save, Esc cancels.
 * @param {{label: string, stands: HTMLElement, onname: (name: string) => void}} about   `stands`: the element that it replaces
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
    /** @param {string} [name]   the field's initial value; by default the current name */
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
