// @ts-check
import { h, setSlider, setText, setValue } from "../dom.js";
import { icon } from "../icons.js";
import { LIMITS } from "../state/initial.js";
import { strings } from "../strings.js";

let fields = 0;

/** A page-wide unique id, for labels. @param {string} stem */
export function uniqueId(stem) {
  fields += 1;
  return `${stem}-${fields}`;
}

/**
 * A choice of a few, all in sight.
 * @template {string} T
 * @param {{label: string, options: [T, string][], onpick: (value: T) => void}} about
 */
export function segmented({ label, options, onpick }) {
  const name = uniqueId("choice");
  const radios = options.map(([value]) => h("input", { type: "radio", name, value, onchange: () => onpick(value) }));
  const element = h(
    "div",
    { class: "segmented", role: "radiogroup", "aria-label": label },
    ...radios.map((radio, i) => h("label", {}, radio, h("span", {}, options[i][1]))),
  );
  /** @param {T} value */
  const set = (value) => {
    for (const radio of radios) radio.checked = radio.value === value;
  };
  return { element, set };
}

/**
 * A slider under its label and value.
 * @param {{label: string, limits: number[], step?: number, oninput: (value: number) => void}} about
 */
export function sliderField({ label, limits: [min, max], step = 1, oninput }) {
  const id = uniqueId("slider");
  const value = h("output", { class: "value", for: id });
  const slider = h("input", { type: "range", class: "slider", id, step: String(step), min: String(min), max: String(max) });
  slider.addEventListener("input", () => oninput(slider.valueAsNumber));
  const head = h("div", { class: "field-head" }, h("label", { class: "label", for: id }, label), value);
  /** @param {number} number */
  const set = (number) => {
    setSlider(slider, number);
    setText(value, String(number));
  };
  return { element: h("div", { class: "field" }, head, slider), set };
}

/**
 * A whole number, or nothing for a random one.
 * @param {(seed: number | null) => void} onseed
 */
export function seedField(onseed) {
  const id = uniqueId("seed");
  const input = h("input", { class: "input number", id, inputMode: "numeric", autocomplete: "off", placeholder: strings.source.seedPlaceholder });
  input.addEventListener("input", () => {
    const digits = input.value.replace(/\D/g, "").slice(0, 16);
    const seed = digits === "" ? null : Math.min(Number(digits), LIMITS.maxSeed);
    input.value = seed === null ? "" : String(seed);
    onseed(seed);
  });
  const element = h("div", { class: "field" }, h("label", { class: "label", for: id }, strings.source.seed), input);
  /** @param {number | null} seed */
  const set = (seed) => setValue(input, seed === null ? "" : String(seed));
  return { element, set };
}

/**
 * Guidance, steps and seed behind one line; an engine that takes only the seed shows only that.
 * @param {(patch: {steps?: number, cfgScale?: number, seed?: number | null}) => void} onchange
 * @param {string} [classicalHint]
 */
export function samplingFold(onchange, classicalHint = "") {
  const guidance = sliderField({ label: strings.source.guidance, limits: LIMITS.cfgScale, step: 0.5, oninput: (cfgScale) => onchange({ cfgScale }) });
  const steps = sliderField({ label: strings.source.steps, limits: LIMITS.steps, oninput: (count) => onchange({ steps: count }) });
  const seed = seedField((value) => onchange({ seed: value }));
  const title = h("span");
  const hint = h("p", { class: "hint" }, classicalHint);
  const body = h("div", { class: "fold-body" }, guidance.element, steps.element, seed.element, hint);
  const element = h("details", { class: "fold" }, h("summary", {}, icon("chevron"), title), body);
  return {
    element,
    /** @param {{steps: number, cfgScale: number, seed: number | null}} values @param {boolean} classical */
    render: (values, classical) => {
      setText(title, classical ? strings.source.moreSeed : strings.source.more);
      for (const field of [guidance, steps]) field.element.hidden = classical;
      hint.hidden = !classical || classicalHint === "";
      guidance.set(values.cfgScale);
      steps.set(values.steps);
      seed.set(values.seed);
    },
  };
}

/** A message about something that went wrong. */
export function callout() {
  const text = h("p");
  const element = h("div", { class: "callout", role: "alert", hidden: true }, icon("warning"), text);
  /** @param {string | null} message */
  const set = (message) => {
    element.hidden = message === null;
    setText(text, message ?? "");
  };
  return { element, set };
}

/**
 * @param {import("../icons.js").IconName} name
 * @param {string} label
 * @param {() => void} onclick
 */
export function iconButton(name, label, onclick) {
  return h("button", { class: "icon-button", type: "button", "aria-label": label, title: label, onclick }, icon(name));
}
