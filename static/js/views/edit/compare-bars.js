import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { segmented } from "../shell/fields.js";

const WAYS = /** @type {const} */ (["slider", "blink", "difference", "side"]);

/**
 * What lies over two versions that are compared: the way of it, their names, the slider, the button that blinks.
 * @param {{parting: ReturnType<typeof import("../stage/split-slider.js").createParting>, onpick: (how: How) => void, onhold: (on: boolean) => void}} on
 */
export function createCompareBars({ parting, onpick, onhold }) {
  const ways = segmented({ label: t("compare.ways"), options: WAYS.map((how) => [how, t(`compare.${how}`)]), onpick });
  const bar = h("div.compare-ways", ways.element);
  const hold = h("button.button.small.compare-hold", t("compare.hold"));
  const note = h("p.compare-note.number");
  const [left, right] = ["left", "right"].map((side) => h("span", { class: `compare-tag ${side}` }));
  holdable(hold, onhold);

  return {
    elements: [...parting.elements, left, right, note, hold, bar],
    /** @param {{how: How, two: boolean, held: boolean, names: readonly [string, string], changed: string | null}} shown */
    render: ({ how, two, held, names, changed }) => {
      const one = !two || held ? 0 : how === "blink" ? 1 : null;
      const both = one === null && how !== "difference";
      parting.render(both && how === "slider");
      left.hidden = !both && one !== 0;
      right.hidden = !both && one !== 1;
      setText(left, names[0]);
      setText(right, names[1]);
      ways.set(how);
      bar.hidden = !two;
      hold.hidden = !two || how !== "blink";
      hold.classList.toggle("on", held);
      note.hidden = !two || how !== "difference" || held;
      setText(note, changed === null ? t("compare.amplified") : t("compare.changed", { share: changed }));
    },
  };
}

/** Make a button count as long as it is held: by a pointer, by Space or by Enter. @param {HTMLElement} button @param {(on: boolean) => void} set */
function holdable(button, set) {
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && set(true));
  for (const end of ["lostpointercapture", "keyup", "blur"]) button.addEventListener(end, () => set(false));
}
