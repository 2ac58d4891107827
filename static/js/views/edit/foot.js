import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { atWork, capabilitiesOf, isSeed } from "../../state/initial.js";
import { asksFor, chosenOf, editOf, isProposed } from "../../state/results.js";
import { fold } from "../shell/fields.js";
import { describeJob, progressBar, shareOf } from "../shell/job-bar.js";

/** The available actions: apply, wait or cancel, or decide about a version. @param {Actions} actions @param {() => string} layerId */
export function createEditFoot(actions, layerId) {
  /** @type {string[]} */
  let running = [];
  const button = (/** @type {string} */ look, /** @type {Key} */ label, /** @type {string} */ key, /** @type {() => void} */ onclick) => {
    const words = h("span", t(label));
    return Object.assign(
      h(
        "button",
        { class: `button ${look}`, type: "button", onclick },
        words,
        key === "" ? null : h("kbd.button-key", { "aria-hidden": "true" }, key),
      ),
      { words },
    );
  };
  const apply = button("primary wide", "edit.apply", t("edit.applyKey"), () => actions.applyEdit(layerId()));
  const remove = button("", "edit.remove", "Del", () => actions.discardEdit(layerId()));
  const replace = button("primary wide", "edit.replace", "A", () => actions.acceptEdit(layerId()));
  const add = button("", "edit.add", "N", () => actions.addEdit(layerId()));
  const retry = button("", "edit.retry", "R", () => actions.applyEdit(layerId()));
  const discard = button("", "edit.discard", "Del", () => actions.discardEdit(layerId()));
  const bar = progressBar();
  const detail = h("p.hint.number");
  const cancel = button("", "edit.cancel", "", () => actions.cancelJob(running[0]));
  const cancelAll = button("", "edit.cancelAll", "", () => running.forEach(actions.cancelJob));
  const progress = h("div.edit-progress", bar.element, detail, cancelAll, cancel);
  const draft = h("div.edit-draft", apply, remove);
  const decide = h("div.edit-decide", replace, add, retry, discard);
  const element = h("div.edit-foot", progress, draft, decide);

  return {
    element,
    replace,
    /** Return the focus to an action if the focused element was removed. */
    rescue: () => [cancel, replace, apply].find((one) => one.checkVisibility() && !one.disabled)?.focus(),
    /** @param {State} state @param {Layer} layer */
    render: (state, layer) => {
      const edit = editOf(state, layer.id);
      const { run, failed, index } = chosenOf(state, layer);
      const runs = atWork(state, "edit", layer.id);
      const busy = run !== null || (edit.sending && edit.chosen === null);
      const proposed = isProposed(state, layer);
      const again = asksFor(edit, failed ?? layer.versions[index]) && (failed !== null || proposed);
      const ready = edit.instruction.trim() !== "" && isSeed(edit.seed) && !edit.sending;
      running = run === null ? [] : [run.job.id, ...runs.map(({ job }) => job.id).filter((id) => id !== run.job.id)];
      progress.hidden = !busy;
      draft.hidden = busy || proposed;
      decide.hidden = busy || !proposed;
      remove.hidden = failed === null;
      // If seeds have no effect, the same request gives the same result.
      retry.hidden = again && !capabilitiesOf(state).edit.includes("seed");
      discard.disabled = index === 0;
      apply.disabled = retry.disabled = !ready;
      setText(apply.words, t(again ? "edit.retry" : "edit.apply"));
      setText(retry.words, t(again ? "edit.retry" : "edit.apply"));
      bar.set(shareOf(run ?? undefined));
      setText(detail, describeJob(run ?? undefined));
      cancel.disabled = run === null || run.canceling;
      cancelAll.hidden = runs.length < 2;
    },
  };
}

/** The engine's capabilities, one line per kind, with examples. */
const ABILITIES = /** @type {const} */ (["colors", "parts", "light", "looks", "background", "detail", "outline", "turn", "amounts"]);

/**
 * Help if the engine does not support an instruction: a button for the page's own tool,
 * or the engine's capabilities.
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
