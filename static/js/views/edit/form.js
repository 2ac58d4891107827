import { h, setAttribute, setLabel, setText, setValue } from "../../dom.js";
import { t } from "../../i18n.js";
import { icon, setIcon } from "../../icons.js";
import { capabilitiesOf, isSeed, LIMITS, settingsIn } from "../../state/initial.js";
import { chosenOf, editOf, hasContext, instructionsOf } from "../../state/results.js";
import { createThumb } from "../layers/rows.js";
import { field, iconButton, segmented, uniqueId } from "../shell/fields.js";
import { filePicker } from "../shell/files.js";
import { menuButton } from "../shell/menu.js";
import { engineChoice, samplingFold } from "../shell/sampling.js";
import { createRegionField } from "./region.js";

const CHIPS = /** @type {const} */ ([
  "blue",
  "vibrant",
  "glow",
  "background",
  "vintage",
  "shadows",
  "simplify",
  "photo",
  "watercolor",
  "winter",
]);
/** Features that need a model. */
const FOR_MODELS = ["photo", "watercolor", "winter"];
/** The number of earlier instructions in the list. */
const LISTED = 12;

/** The form for an edit. @param {Actions} actions @param {() => string} layerId   the current layer @param {Bitmaps} bitmaps */
export function createEditForm(actions, layerId, bitmaps) {
  /** @type {string[]} */
  let earlier = [];
  const set = (/** @type {Partial<Edit>} */ patch) => actions.setEdit(layerId(), patch);
  const id = uniqueId("instruction");
  const words = h("textarea.input", {
    id,
    rows: 3,
    maxLength: 2000,
    placeholder: t("edit.placeholder"),
    oninput: () => set({ instruction: words.value }),
  });
  recallable(
    words,
    () => earlier,
    (instruction) => set({ instruction }),
  );
  const history = menuButton(h("button.link.edit-history", icon("history"), t("edit.history")), () => ({
    label: t("edit.history"),
    entries: earlier.slice(0, LISTED).map((label) => ({ label, run: () => put(label) })),
  }));
  const reuse = h("button.link", { hidden: true, onclick: () => set(again) }, t("edit.reuse"));
  /** @type {Partial<Edit>}   the request of the chosen version */
  let again = {};
  const chips = CHIPS.map((name) => t(`edit.chip.${name}`)).map((chip) => h("button.chip", { onclick: () => take(chip) }, chip));
  const shape = segmented({
    label: t("edit.shape"),
    options: [
      ["keep", t("edit.shape.keep")],
      ["new", t("edit.shape.new")],
    ],
    onpick: (value) => set({ shape: value }),
  });
  const shapeHint = h("p.hint");
  const variants = segmented({
    label: t("edit.variants"),
    options: LIMITS.variants.map((count) => [String(count), String(count)]),
    onpick: (count) => set({ variants: Number(count) }),
  });
  const several = field(t("edit.variants"), variants.element);
  const lock = iconButton("unlock", "", () => set({ locked: lock.getAttribute("aria-pressed") === "false" }));
  const fold = samplingFold("edit", (patch) => set("seed" in patch ? { ...patch, locked: patch.seed !== null } : patch), "", lock);
  const region = createRegionField(actions, layerId);
  const references = createReferences(actions, layerId, bitmaps);
  const context = h("input", { type: "checkbox", onchange: () => set({ context: context.checked }) });
  const inContext = h("label.lora-name", context, h("span", t("edit.context")));
  const engine = engineChoice((name) => actions.set({ engine: name }));
  const element = h(
    "div.edit-form",
    field(t("edit.instruction"), words, h("span.edit-links", reuse, history)),
    h("div.chips", { role: "group", "aria-label": t("edit.examples") }, ...chips),
    region.element,
    references.element,
    inContext,
    h("div.edit-choices", field(t("edit.shape"), shape.element), several, shapeHint),
    engine.element,
    fold.element,
  );

  /** @param {string} instruction */
  function put(instruction) {
    set({ instruction });
    words.focus();
  }

  /** An example replaces another example, and is added to typed text. @param {string} chip */
  function take(chip) {
    const typed = words.value.trim();
    const replaceable = typed === "" || [...earlier, ...chips.map((button) => button.textContent)].includes(typed);
    put(replaceable ? chip : `${typed.replace(/[.,;，；。]$/, "")}, ${chip[0].toLowerCase()}${chip.slice(1)}`);
  }

  return {
    element,
    focus: () => words.focus(),
    /** @param {State} state @param {Layer} layer */
    render: (state, layer) => {
      const edit = editOf(state, layer.id);
      const { edit: takes, any_instruction: anything } = capabilitiesOf(state);
      earlier = instructionsOf(state);
      setValue(words, edit.instruction);
      history.hidden = earlier.length === 0;
      const version = layer.versions[chosenOf(state, layer).index];
      const made = settingsIn(version.recipe, "edit", state.config);
      reuse.hidden = made === null;
      if (made !== null) {
        const { instruction, shape, region: marks = [], references: from = [], context: seen = null } = version;
        again = { ...made, instruction, region: marks, references: from, context: seen, ...(shape && { shape }), locked: "seed" in made };
      }
      chips.forEach((chip, index) => {
        chip.hidden = !anything && FOR_MODELS.includes(CHIPS[index]);
      });
      region.render(state);
      references.render(state);
      inContext.hidden = !hasContext(state, layer.id);
      context.checked = edit.context ?? false;
      shape.set(edit.shape);
      setText(shapeHint, t(`edit.shapeHint.${edit.shape}`));
      variants.set(String(edit.variants));
      several.hidden = !takes.includes("seed");
      setIcon(/** @type {SVGSVGElement} */ (lock.firstElementChild), edit.locked ? "lock" : "unlock");
      setAttribute(lock, "aria-pressed", edit.locked);
      setLabel(lock, t("edit.seedLock"), t(edit.locked ? "edit.seedLocked" : "edit.seedFree"));
      lock.disabled = edit.seed === null || !isSeed(edit.seed);
      engine.render(state);
      fold.render(edit, takes, state.config);
    },
  };
}

/**
 * Earlier instructions in a text field: Up at its start goes back through them, Down returns to the typed text.
 *
 * @param {HTMLTextAreaElement} field
 * @param {() => string[]} earlier   the latest first
 * @param {(text: string) => void} ontext
 */
export function recallable(field, earlier, ontext) {
  let place = -1;
  let typed = "";
  field.addEventListener("input", () => (place = -1));
  field.addEventListener("keydown", (event) => {
    const up = event.key === "ArrowUp";
    if ((!up && event.key !== "ArrowDown") || event.altKey || event.shiftKey || event.ctrlKey || event.metaKey) return;
    const recalled = place >= 0 && earlier()[place] === field.value;
    if (!recalled) place = -1;
    // In typed text the arrows move the caret.
    if (!recalled && (!up || field.selectionEnd > 0)) return;
    const next = place + (up ? 1 : -1);
    if (next >= earlier().length) return;
    event.preventDefault();
    if (place < 0) typed = field.value;
    place = next;
    ontext(next < 0 ? typed : earlier()[next]);
  });
}

/** Reference pictures of an edit: other layers, or files. @param {Actions} actions @param {() => string} layerId @param {Bitmaps} bitmaps */
export function createReferences(actions, layerId, bitmaps) {
  /** @type {readonly Layer[]} */
  let others = [];
  /** @type {readonly Reference[]} */
  let chosen = [];
  let shown = "";
  const set = (/** @type {readonly Reference[]} */ references) => actions.setEdit(layerId(), { references });
  const list = h("ul.references");
  const layers = menuButton(h("button.button.small", { type: "button" }, t("references.layer")), () => ({
    label: t("references.layer"),
    entries: others.map(({ name, image }) => ({ label: name, run: () => set([...chosen, { name, image }]) })),
  }));
  const file = filePicker({
    label: t("references.file"),
    look: "small",
    accept: "image/*",
    onfile: (picture) => actions.addReference(layerId(), picture),
  });
  const add = h("div.region-line", layers, file);
  const hint = h("p.hint");
  const element = h("div.region", field(t("references.title"), list), add, hint);

  /** @param {Reference} reference @param {number} index */
  function item({ name, image }, index) {
    const thumb = createThumb(bitmaps);
    thumb.draw(image);
    const remove = iconButton("close", t("references.remove", { name }), () => set(chosen.filter((_, other) => other !== index)));
    const words = h("span", h("strong", t("references.number", { number: index + 2 })), ` ${name}`);
    return h("li.reference", h("span.thumb.checkerboard", thumb.element), words, remove);
  }

  return {
    element,
    /** @param {State} state */
    render: (state) => {
      const { references: most } = capabilitiesOf(state);
      const id = layerId();
      chosen = editOf(state, id).references;
      others = state.doc.layers.filter((layer) => layer.id !== id).reverse();
      element.hidden = most === 0;
      add.hidden = chosen.length >= most;
      layers.disabled = others.length === 0;
      setText(hint, t(chosen.length > 0 ? "references.hint" : "references.empty"));
      const now = JSON.stringify(chosen);
      if (now === shown) return;
      shown = now;
      list.replaceChildren(...chosen.map(item));
    },
  };
}
