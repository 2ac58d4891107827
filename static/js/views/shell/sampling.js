import { h, setAttribute, setSlider, setText, setValue } from "../../dom.js";
import { t } from "../../i18n.js";
import { besideOf, isSeed, lorasOf, seedFrom } from "../../state/initial.js";
import { field, fold, segmented, sliderField, uniqueId } from "./fields.js";

/** @type {Speed[]} */
const SPEEDS = ["exact", "fast", "turbo"];

/**
 * Speed, LoRAs, guidance, steps and seed, folded, if the engine uses them.
 * @param {"decompose" | "edit"} kind   of run
 * @param {(patch: {speed?: Speed, steps?: number, cfgScale?: number, seed?: Seed, loras?: Loras}) => void} onchange
 * @param {string} [seedHint]   the hint if the seed is the only field
 * @param {HTMLElement | null} [besideSeed]
 */
export function samplingFold(kind, onchange, seedHint = "", besideSeed = null) {
  const speed = segmented({
    label: t("source.speed"),
    options: SPEEDS.map((value) => [value, t(`source.speed.${value}`)]),
    onpick: (value) => onchange({ speed: value }),
  });
  const speedHint = h("p.hint");
  const pace = field(t("source.speed"), speed.element, null, speedHint);
  const loras = loraPicker((chosen) => onchange({ loras: chosen }));
  const guidance = sliderField({
    label: t("source.guidance"),
    step: 0.5,
    oninput: (cfgScale) => onchange({ cfgScale }),
  });
  const steps = sliderField({ label: t("source.steps"), oninput: (count) => onchange({ steps: count }) });
  const seed = seedField((value) => onchange({ seed: value }), besideSeed);
  const title = h("span");
  const hint = h("p.hint", seedHint);
  const body = h("div.fold-body", pace, loras.element, guidance.element, steps.element, seed.element, hint);
  const element = fold(title, body);
  element.hidden = true; // it has no words yet
  return {
    element,
    /** @param {Sampling & {seed: Seed, loras: Loras | null}} values @param {readonly string[]} takes   fields of a request @param {Config | null} config */
    render: (values, takes, config) => {
      element.hidden = !takes.includes("seed");
      const seedAlone = !takes.includes("steps");
      setText(title, t(seedAlone ? "source.moreSeed" : "source.more"));
      pace.hidden = !takes.includes("speed");
      speed.set(values.speed, config?.capabilities.speeds);
      setText(speedHint, t(`source.speedHint.${values.speed}`));
      loras.render(values.loras, takes.includes("loras") ? (config?.loras?.[kind] ?? []) : []);
      for (const field of [guidance, steps]) field.element.hidden = seedAlone || values.speed === "turbo";
      hint.hidden = !seedAlone || seedHint === "";
      guidance.set(values.cfgScale, config?.limits.cfg_scale);
      steps.set(values.steps, config?.limits.steps);
      seed.set(values.seed);
      // An error that prevents the start must be visible.
      if (!isSeed(values.seed)) element.open = true;
    },
  };
}

/**
 * A whole number, or empty for a random one. Other text stays as typed and is marked as invalid.
 * @param {(seed: Seed) => void} onseed
 * @param {HTMLElement | null} aside   the element beside it
 */
function seedField(onseed, aside = null) {
  const id = uniqueId("seed");
  const input = h("input.input.number", {
    id,
    inputMode: "numeric",
    autocomplete: "off",
    placeholder: t("source.seedPlaceholder"),
    oninput: () => onseed(seedFrom(input.value)),
  });
  const problem = h("p.hint.problem", { id: uniqueId("seed-problem"), role: "alert", hidden: true });
  const element = h("div.field", h("label.label", { for: id }, t("source.seed")), h("div.beside", input, aside), problem);
  /** @param {Seed} seed */
  const set = (seed) => {
    if (seedFrom(input.value) !== seed) setValue(input, seed === null ? "" : String(seed));
    const valid = isSeed(seed);
    problem.hidden = valid;
    setText(problem, valid ? "" : t("source.seedProblem"));
    setAttribute(input, "aria-invalid", valid ? null : true);
    setAttribute(input, "aria-describedby", valid ? null : problem.id);
  };
  return { element, set };
}

/** The slider's maximum; the server accepts more. */
const MOST = 2;

/** The active LoRAs of a run, and their weights. @param {(loras: Loras) => void} onchange */
function loraPicker(onchange) {
  const rows = h("div.loras", { role: "group", "aria-label": t("source.loras") });
  const element = h("div.field", h("span.label", t("source.loras")), rows);
  element.hidden = true;
  /** @type {Loras} */
  let chosen = {};
  let shown = "";
  /** @type {Record<string, (weight: number) => void>} */
  let setters = {};

  /** @param {Wire.LoraResponse} lora */
  function row({ name, weight: usual }) {
    const set = (/** @type {number} */ weight) => onchange({ ...chosen, [name]: weight });
    const on = h("input", { type: "checkbox", onchange: () => set(on.checked ? usual || 1 : 0) });
    const label = t("source.loraWeight", { name });
    const slider = h("input.slider", {
      type: "range",
      min: "0",
      step: "0.05",
      "aria-label": label,
      oninput: () => set(slider.valueAsNumber),
    });
    slider.max = String(Math.max(MOST, usual));
    const value = h("output.value");
    setters[name] = (weight) => {
      on.checked = weight !== 0;
      slider.disabled = weight === 0;
      setSlider(slider, weight);
      setText(value, weight === 0 ? t("source.loraOff") : String(weight));
    };
    return h("div.lora", h("label.lora-name", on, h("span", name)), slider, value);
  }

  return {
    element,
    /** @param {Loras | null} picked @param {readonly Wire.LoraResponse[]} listed */
    render: (picked, listed) => {
      element.hidden = listed.length === 0;
      if (JSON.stringify(listed) !== shown) {
        shown = JSON.stringify(listed);
        setters = {};
        rows.replaceChildren(...listed.map(row));
      }
      chosen = lorasOf(listed, picked);
      for (const [name, weight] of Object.entries(chosen)) setters[name](weight);
    },
  };
}

/** The choice of the engine, if there are several. @param {(engine: Settings["engine"]) => void} onpick */
export function engineChoice(onpick) {
  const choice = segmented({
    label: t("engine.choice"),
    options: /** @type {const} */ (["qwen", "classical"]).map((name) => [name, t(`engine.name.${name}`)]),
    onpick: (name) => onpick(name === "classical" ? name : null),
  });
  const element = field(t("engine.choice"), choice.element, null, h("p.hint", t("engine.choiceHint")));
  element.hidden = true;
  return {
    element,
    /** @param {State} state */
    render: (state) => {
      element.hidden = !state.config?.beside;
      choice.set(besideOf(state) ? "classical" : "qwen");
    },
  };
}
