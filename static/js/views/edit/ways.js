import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { editOf } from "../../state/edits.js";
import { fold } from "../shell/fields.js";

/** What the engine can do, a line for each kind, with examples. */
const ABILITIES = /** @type {const} */ (["colors", "parts", "light", "looks", "background", "detail", "outline", "turn", "amounts"]);

/**
 * What leads there when the engine does not do what an instruction asks: a button for the tool that the page has for it,
 * or what the engine can do.
 *
 * @param {Actions} actions
 * @param {() => void} openEngine
 */
export function createWays(actions, openEngine) {
  /** @type {() => void} */
  let go = () => {};
  const button = h("button.button.small", { onclick: () => go() });
  const list = h("ul.abilities", ...ABILITIES.map((name) => h("li", t(`ability.${name}`))));
  const abilities = fold(h("span", t("edit.canDo")), list);
  const element = h("div.ways", button, abilities);

  /** @type {Record<string, {label: Key, run: (layer: Layer, failed: Try, state: State) => void}>} */
  const ways = {
    new_shape: { label: "way.newShape", run: applyReshaped },
    select: { label: "select.title", run: takeSelect },
    resize: { label: "way.place", run: ({ id }) => actions.openPlace(id) },
    move: { label: "way.place", run: ({ id }) => actions.openPlace(id) },
    delete: { label: "way.delete", run: closing(actions.remove) },
    hide: { label: "way.hide", run: closing(actions.toggle) },
    duplicate: { label: "way.duplicate", run: closing(actions.duplicate) },
    undo: { label: "way.undo", run: actions.undo },
    layers: { label: "way.layers", run: actions.closeEdit },
    model: { label: "way.model", run: openEngine },
  };

  /** What was refused takes no place beside what it leads to. @param {Layer} layer @param {Try} failed @param {State} state */
  function applyReshaped({ id }, failed, state) {
    const tries = editOf(state, id).tries.filter((entry) => entry !== failed);
    actions.setEdit(id, { shape: "new", instruction: failed.instruction, tries, chosen: null });
    actions.applyEdit(id);
  }

  /** @param {Layer} layer @param {Try} _failed @param {State} state */
  function takeSelect({ id }, _failed, { tool }) {
    actions.closeEdit();
    actions.select(id);
    if (tool?.kind !== "select") actions.takeTool("select");
  }

  /** @param {(layer: Layer) => void} run @returns {(layer: Layer) => void} */
  function closing(run) {
    return (layer) => {
      actions.closeEdit();
      run(layer);
    };
  }

  return {
    element,
    /** @param {Try | null} failed @param {Layer} layer @param {State} state */
    render: (failed, layer, state) => {
      const hint = failed?.hint ?? null;
      const way = ways[hint?.way ?? ""];
      button.hidden = way === undefined;
      abilities.hidden = hint === null || hint.way !== null;
      element.hidden = button.hidden && abilities.hidden;
      if (failed === null || way === undefined) return;
      setText(button, t(hint?.way === "hide" && !layer.visible ? "way.show" : way.label));
      go = () => way.run(layer, failed, state);
    },
  };
}
