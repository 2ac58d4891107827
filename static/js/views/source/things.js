import { h, setAttribute, setText } from "../../dom.js";
import { many, t } from "../../i18n.js";
import { mostLayers } from "../../state/initial.js";
import { hasTooMany, roomFor, takesThings, thingsOn } from "../../state/things.js";
import { callout, field } from "../shell/fields.js";

/** Which things are to be layers of their own: boxes that have names, where the engine can be told. @param {Actions} actions @returns {View} */
export function createThings(actions) {
  const words = h("span");
  const beside = h("button.link", t("things.beside"));
  const hint = h("p.hint", words, " ", beside);
  const problem = h("p.hint.problem", { role: "alert" }, t("things.over"));
  const error = callout();
  const draw = h("button.button.small", { onclick: () => actions.takeTool("things") }, t("things.draw"));
  const add = h("button.button.small", { onclick: () => actions.addThing() }, t("things.add"));
  const tools = h("div.thing-tools", draw, add);
  const list = h("ul.thing-list", { "aria-label": t("things.title") });
  const body = h("div.things", list, tools, problem, error.element);
  const element = field(t("things.title"), body, null, hint);
  /** @type {((state: State) => void) | null} */
  let renderRows = null;
  let asked = false;
  /** @type {State} */
  let latest;

  /** The rows are loaded with the first box. */
  async function bring() {
    asked = true;
    try {
      const { createThingRows } = await import("./thing-rows.js");
      renderRows = createThingRows(actions, list, draw);
      renderRows(latest);
    } catch {
      asked = false; // what failed may succeed later, as when the server comes back
    }
  }

  beside.addEventListener("click", () => actions.set({ engine: latest.config?.beside?.engine ?? null }));
  return {
    element,
    render: (state) => {
      latest = state;
      const { config, doc, settings, tool, thingsError } = state;
      const tells = takesThings(state);
      const count = thingsOn(settings, doc.picture).length;
      const full = roomFor(state) <= 0;
      element.hidden = config === null || doc.picture === null;
      body.hidden = !tells;
      problem.hidden = !hasTooMany(state);
      beside.hidden = tells || !config?.beside?.capabilities.decompose.includes("regions");
      setText(words, tells ? wordsFor(state) : t("things.untold"));
      hint.hidden = tells && (!problem.hidden || (count > 0 && !full && matchMedia("(pointer: coarse)").matches));
      setAttribute(draw, "aria-pressed", tool?.kind === "things");
      draw.disabled = full && tool?.kind !== "things" && count === 0;
      add.disabled = full;
      error.set(thingsError);
      if (renderRows !== null) renderRows(state);
      else if (count > 0 && !asked) bring();
    },
  };
}

/** @param {State} state */
function wordsFor(state) {
  if (roomFor(state) <= 0) return fullWords(state);
  return t(thingsOn(state.settings, state.doc.picture).length === 0 ? "things.hint" : "things.keys");
}

/** Why there can be no further box. @param {State} state */
export function fullWords(state) {
  const layers = mostLayers(state);
  return many("things.full", layers - 1, { layers });
}
