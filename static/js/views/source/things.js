import { h, setAttribute, setLabel, setText, setValue } from "../../dom.js";
import { many, t } from "../../i18n.js";
import { mostLayers } from "../../state/initial.js";
import { hasTooMany, nudged, roomFor, takesThings, thingsOn } from "../../state/things.js";
import { callout, field, iconButton } from "../shell/fields.js";

/** Named boxes that become separate layers, if the engine supports them. @param {Actions} actions @returns {View} */
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
  const renderRows = createThingRows(actions, list, draw);
  /** @type {State} */
  let latest;

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
      renderRows(state);
    },
  };
}

/** @param {State} state */
function wordsFor(state) {
  if (roomFor(state) <= 0) return fullWords(state);
  return t(thingsOn(state.settings, state.doc.picture).length === 0 ? "things.hint" : "things.keys");
}

/** Why no further box is possible. @param {State} state */
export function fullWords(state) {
  const layers = mostLayers(state);
  return many("things.full", layers - 1, { layers });
}

const WAYS = /** @type {Record<string, Point>} */ ({
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
});

/**
 * The boxes as rows: a number that takes the arrow keys, a name, and what removes them.
 * @param {Actions} actions
 * @param {HTMLElement} list
 * @param {HTMLElement} after   gets the focus if there is no row left
 */
function createThingRows(actions, list, after) {
  /** @type {Map<string, ReturnType<typeof createRow>>} */
  const rows = new Map();
  /** @type {string | null} */
  let picked = null;
  /** @type {Picture | null} */
  let picture = null;
  /** @type {readonly Thing[]} */
  let things = [];

  /** @param {Thing} thing */
  const put = (thing) => things.map((each) => (each.id === thing.id ? thing : each));

  /** @param {string} id */
  function createRow(id) {
    const mine = () => /** @type {Thing} */ (things.find((thing) => thing.id === id));

    function take() {
      const next = element.nextElementSibling ?? element.previousElementSibling;
      // A removed row would lose the focus.
      const heir = next?.lastElementChild;
      (heir instanceof HTMLElement ? heir : after).focus();
      actions.setThings(things.filter((thing) => thing.id !== id));
    }

    /** @param {KeyboardEvent} event */
    function onkeydown(event) {
      const { key, shiftKey, altKey, ctrlKey, metaKey } = event;
      const removes = key === "Delete" || key === "Backspace";
      if (altKey || ctrlKey || metaKey || picture === null || !(removes || key in WAYS)) return;
      event.preventDefault();
      if (removes) return take();
      const thing = nudged(mine(), WAYS[key], shiftKey, picture);
      actions.setThings(put(thing), { spoken: t("things.at", { ...thing }) });
    }

    const mark = h("button.icon-button", { onkeydown, onclick: () => mark.focus() });
    const name = h("input.input", {
      maxLength: 80,
      placeholder: t("things.name"),
      oninput: () => actions.setThings(put({ ...mine(), name: name.value })),
      onkeydown: (/** @type {KeyboardEvent} */ { key }) => key === "Escape" && actions.putToolDown(),
    });
    const remove = iconButton("trash", "", take);
    const element = h("li.beside", { onfocusin: () => actions.pickThing(id) }, mark, name, remove);
    return {
      element,
      name,
      /** @param {Thing} thing @param {number} number */
      render: (thing, number) => {
        setText(mark, String(number));
        setLabel(mark, t("things.box", { ...thing, number }), t("things.keys"));
        setLabel(name, t("things.nameOf", { number }));
        setLabel(remove, t("things.remove", { number }));
        setValue(name, thing.name);
      },
    };
  }

  list.addEventListener("focusout", ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node && list.contains(relatedTarget))) actions.pickThing(null);
  });

  /** @param {State} state */
  return ({ doc, settings, thing }) => {
    picture = doc.picture;
    things = thingsOn(settings, picture);
    for (const [id, { element }] of rows) {
      if (things.some((each) => each.id === id)) continue;
      element.remove();
      rows.delete(id);
    }
    things.forEach((each, index) => {
      const row = rows.get(each.id) ?? createRow(each.id);
      rows.set(each.id, row);
      row.render(each, index + 1);
      if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
    });
    const before = picked;
    picked = thing;
    const row = rows.get(thing ?? "");
    if (thing !== before && row && !row.element.contains(document.activeElement)) row.name.focus();
  };
}
