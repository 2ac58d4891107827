import { h, setSlider, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { lorasOf } from "../../state/loras.js";

/** What a slider goes up to; the server takes more. */
const MOST = 2;

/** Which of the LoRAs that the server lists are on in a run, and how much. @param {(loras: Loras) => void} onchange */
export function loraPicker(onchange) {
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
