import { h, isTyping, setAttribute, setText } from "../../dom.js";
import { ago, engineName, exactly, percent, refusalOf, t } from "../../i18n.js";
import { createHeld } from "../../images/bitmaps.js";
import { zoomCommands } from "../../images/camera.js";
import { changedShare } from "../../images/difference.js";
import { commandOf } from "../../keymap.js";
import { findLayer } from "../../state/doc.js";
import { resized } from "../../state/initial.js";
import { asksFor, chosenOf, editOf, isProposed } from "../../state/results.js";
import { callout, iconButton, segmented, uniqueId } from "../shell/fields.js";
import { createCompare } from "./compare.js";
import { createEditFoot, createWays } from "./foot.js";
import { createEditForm } from "./form.js";
import { createVersionStrip, versionName } from "./versions.js";

/**
 * The modal for editing a layer. It shows the layer's edit but does not own it: closing loses nothing.
 *
 * @param {Actions} actions
 * @param {Bitmaps} bitmaps
 * @param {{openHelp: () => void, openEngine: () => void}} open
 * @param {HTMLElement} notices   moved into the modal, which would hide them
 */
export function createEditDialog(actions, bitmaps, { openHelp, openEngine }, notices) {
  let layerId = "";
  let wasProposed = false;
  const at = () => layerId;
  const titleId = uniqueId("edit-title");
  const title = h("h2", { id: titleId });
  const compare = createCompare(actions, bitmaps);
  const where = segmented({
    label: t("edit.where"),
    options: [
      ["layer", t("edit.where.layer")],
      ["picture", t("edit.where.picture")],
    ],
    onpick: (place) => actions.setVersus({ where: place }),
  });
  const ways = createWays(actions, openEngine);
  const error = callout(ways.element);
  const form = createEditForm(actions, at, bitmaps);
  const strip = createVersionStrip((key) => actions.chooseEdit(layerId, key), bitmaps);
  const made = h("p.hint.number.edit-made");
  const foot = createEditFoot(actions, at);
  const held = createHeld(bitmaps, () => rendered !== null && render(rendered));
  const measure = createMeasure(bitmaps, () => rendered !== null && render(rendered));
  const body = h("div.edit-body", where.element, strip.element, made, error.element, form.element);
  const side = h(
    "div.edit-side",
    h("div.edit-head", title, iconButton("close", `${t("edit.close")}. ${t("edit.closeHint")}`, actions.closeEdit)),
    body,
    foot.element,
  );
  const dialog = h("dialog.edit-dialog", { "aria-labelledby": titleId }, compare.element, side);
  /** @type {State | null} */
  let rendered = null;

  // Esc and the phone's back gesture close the dialog by themselves. The state must be updated before anything else
  // renders the page, such as a row under the pointer: that would open the dialog again.
  dialog.addEventListener("cancel", (event) => {
    if (event.target === dialog) actions.closeEdit(); // file fields can be canceled as well
  });
  dialog.addEventListener("close", () => {
    if (dialog.open) return; // a key has opened it again before the browser's close event
    document.body.append(notices);
    strip.clear();
    actions.closeEdit();
  });
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) actions.closeEdit();
  });

  /** @type {Record<string, () => void>} */
  const commands = {
    ...zoomCommands(compare),
    help: openHelp,
    undo: takeBack,
    redo: actions.redo,
    accept: () => actions.acceptEdit(layerId),
    add: () => actions.addEdit(layerId),
    apply: () => actions.applyEdit(layerId),
    discard: () => actions.discardEdit(layerId),
    peek: () => compare.peek(true),
  };

  /** The last mark, or without one the last change. */
  function takeBack() {
    const marks = rendered?.marking ? editOf(rendered, layerId).region : [];
    if (marks.length > 0) actions.setEdit(layerId, { region: marks.slice(0, -1) });
    else actions.undo();
  }

  /** @type {Record<string, (marking: Marking) => void>} */
  const markingCommands = {
    finish: actions.putMarkingDown,
    down: actions.putMarkingDown,
    other: ({ takesAway }) => actions.setMarking({ takesAway: !takesAway }),
    smaller: ({ size }) => actions.setMarking({ size: resized(size, 1 / 1.25) }),
    larger: ({ size }) => actions.setMarking({ size: resized(size, 1.25) }),
  };

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  function actionFor(event) {
    const marking = rendered?.marking ?? null;
    // Before Esc closes the window, wherever the focus is.
    if (marking !== null && event.key === "Escape") return actions.putMarkingDown;
    if (isTyping(event) && !((event.ctrlKey || event.metaKey) && event.key === "Enter")) return undefined;
    const onControl = event.target instanceof Element && event.target.closest("button, summary, input");
    if (event.key === " " && onControl) return undefined;
    const mark = marking !== null && !(event.key === "Enter" && onControl) ? markingCommands[commandOf("tool", event)] : undefined;
    if (marking !== null && mark !== undefined) return () => mark(marking);
    return commands[commandOf("editing", event) || commandOf("everywhere", event)];
  }

  // On the window: if the focused element was removed, keys do not reach the dialog.
  addEventListener("keydown", (event) => {
    if (!dialog.open || event.defaultPrevented || document.querySelector("dialog[open] .menu, .info-dialog[open]")) return;
    const action = actionFor(event);
    if (action === undefined) return;
    event.preventDefault();
    if (!event.repeat || action !== commands.peek) action();
  });
  addEventListener("keyup", (event) => {
    if (dialog.open && commandOf("editing", event) === "peek") compare.peek(false);
  });

  /** @param {State} state @param {Layer} layer */
  function renderOpen(state, layer) {
    const edit = editOf(state, layer.id);
    const { run, failed, index } = chosenOf(state, layer);
    layerId = layer.id;
    setText(title, layer.name);
    renderCompare(state, layer);
    where.set(state.versus.where);
    form.render(state, layer);
    error.set(failed && refusalOf(failed));
    ways.render(failed, layer, state);
    strip.render(state, layer);
    setText(made, run !== null || failed !== null ? "" : factsOf(layer, index));
    made.hidden = made.textContent === "";
    foot.render(state, layer);
    setAttribute(dialog, "data-state", run !== null || edit.sending ? "running" : isProposed(state, layer) ? "result" : "draft");
    renderFocus(state, layer);
  }

  /** Move the focus to the next step. @param {State} state @param {Layer} layer */
  function renderFocus(state, layer) {
    const fresh = !dialog.open;
    const proposed = isProposed(state, layer);
    const edit = editOf(state, layer.id);
    const version = layer.versions[chosenOf(state, layer).index];
    if (fresh) {
      dialog.append(notices);
      dialog.showModal();
    }
    const goesOn = document.activeElement?.closest(".versions") || (edit.instruction !== "" && !asksFor(edit, version));
    // On a phone the keyboard would cover the layer.
    if (proposed && (fresh || (!wasProposed && !goesOn))) foot.replace.focus();
    else if (fresh && !matchMedia("(pointer: coarse)").matches) form.focus();
    else if (document.activeElement === document.body || document.activeElement === dialog) foot.rescue();
    if (proposed && !wasProposed) body.scrollTop = 0;
    wasProposed = proposed;
  }

  /** @param {State} state @param {Layer} layer */
  function renderCompare({ doc, versus, ...state }, layer) {
    const { run, failed, index } = chosenOf({ doc, versus, ...state }, layer);
    const { marking } = state;
    const { region } = editOf({ doc, versus, ...state }, layer.id);
    // Marks apply to the current layer.
    const version = layer.versions[marking === null ? index : layer.current];
    const plain = run !== null || failed !== null || marking !== null;
    // A proposal is compared with the current layer, the current version with its source.
    const from = index === layer.current ? layer.versions.findIndex(({ image }) => image === version.from) : layer.current;
    const pair = plain || from < 0 || layer.versions[from].image === version.image ? null : layer.versions[from];
    const url = run?.previews[1];
    const preview = run === null || url === undefined ? null : held(run.job.id, url);
    const first = preview === null ? versionName(pair === null ? index : from) : t("edit.preview");
    const names = /** @type {const} */ ([first, versionName(index)]);
    const changed = pair === null || versus.how !== "difference" ? null : measure(pair.image, version.image);
    compare.render({
      doc,
      layer,
      before: preview ?? pair?.image ?? version.image,
      home: preview === null ? undefined : version.image,
      after: pair === null ? null : version.image,
      names,
      changed,
      ...versus,
      marking,
      region: marking !== null || (run === null && pair === null && versus.where === "layer") ? region : [],
    });
  }

  /** @param {State} state */
  function render(state) {
    rendered = state;
    const layer = findLayer(state.doc, state.editing);
    if (layer !== null) renderOpen(state, layer);
    else if (dialog.open) dialog.close();
  }

  return { element: dialog, render };
}

/** A version's origin in words. @param {Layer} layer @param {number} index */
function factsOf({ versions }, index) {
  const { instruction, region, shape, seed, seconds, engine, at } = versions[index];
  if (instruction === "") return "";
  const facts = [
    t("versions.made", { instruction }),
    region?.length && t("versions.region"),
    shape && t(`versions.shape.${shape}`),
    seed !== null && t("job.seed", { seed }),
    engine && engineName(engine),
    seconds && exactly(seconds),
    at && ago(Date.parse(at) / 1000),
  ];
  return facts.filter(Boolean).join(" · ");
}

/** The changed share of two pictures in words, null until it is measured. @param {Bitmaps} bitmaps @param {() => void} onready */
function createMeasure(bitmaps, onready) {
  let [asked, known] = ["", /** @type {string | null} */ (null)];
  return (/** @type {string} */ before, /** @type {string} */ after) => {
    const pair = `${before} ${after}`;
    if (pair === asked) return known;
    [asked, known] = [pair, null];
    Promise.all([bitmaps.load(before), bitmaps.load(after)]).then(
      ([a, b]) => {
        if (pair !== asked) return;
        known = percent(changedShare(a, b));
        onready();
      },
      () => (asked = ""),
    );
    return null;
  };
}
