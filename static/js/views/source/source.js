import { estimate, workingSize } from "../../actions/decompose.js";
import { h, setAttribute, setText, setValue } from "../../dom.js";
import { duration, size as sizeWords, t } from "../../i18n.js";
import { isPhotograph } from "../../images/pixels.js";
import { capabilitiesOf, isDecomposing, isLarge, isSeed, lorasOf, settingsIn, settingsOf } from "../../state/initial.js";
import { hasTooMany, regionsOf, thingsOn } from "../../state/things.js";
import { callout, field, segmented, sliderField, uniqueId } from "../shell/fields.js";
import { filePicker } from "../shell/files.js";
import { engineChoice, samplingFold } from "../shell/sampling.js";
import { createThings } from "./things.js";

const SIZES = /** @type {const} */ (["640", "1024", "original"]);

/** The source picture and the settings of its decomposition. @param {Actions} actions @param {() => void} openEngine */
export function createSource(actions, openEngine) {
  const picture = createPictureBox(actions, () => expectation.see());
  const prompt = createPrompt(actions);
  const layers = createLayerCount((layerNum) => actions.set({ layerNum }));
  const things = createThings(actions);
  const size = segmented({
    label: t("source.sizeLabel"),
    options: SIZES.map((value) => [value, t(`source.size.${value}`)]),
    onpick: (value) => actions.set({ size: value }),
  });
  const sizeHint = h("p.hint", t("source.largeHint"));
  const fold = samplingFold("decompose", (patch) => actions.set(patch), t("source.classicalHint"));
  const engine = engineChoice((name) => actions.set({ engine: name }));
  const reuse = h("p.hint", { hidden: true }, h("button.link", { onclick: () => actions.set(again) }, t("source.reuse")));
  /** @type {Partial<Settings>}   the settings of the current layers */
  let again = {};
  const expectation = createExpectation(picture.image, openEngine);
  const error = callout();
  const button = h("button.button.primary.wide", { onclick: actions.decompose });

  const element = h(
    "section.panel.source",
    { "aria-label": t("source.region") },
    h("h2.heading", t("source.title")),
    picture.element,
    engine.element,
    prompt.element,
    layers.element,
    things.element,
    field(t("source.sizeLabel"), size.element, null, sizeHint),
    fold.element,
    reuse,
    expectation.element,
    error.element,
    button,
  );

  return {
    element,
    /** Focus the button if the focused element was removed. */
    focus: () => {
      if (document.activeElement === document.body) button.focus({ preventScroll: true });
    },
    render: (/** @type {State} */ state) => {
      const takes = capabilitiesOf(state).decompose;
      picture.render(state);
      engine.render(state);
      prompt.element.hidden = !takes.includes("prompt");
      const settings = settingsOf(state);
      prompt.set(settings.prompt);
      layers.render(settings.layerNum, state.config);
      things.render(state);
      size.set(settings.size);
      sizeHint.hidden = !isLarge(state);
      fold.render(settings, takes, state.config);
      const made = state.doc.layers.map((layer) => settingsIn(layer.versions[0].recipe, "decompose", state.config, state.doc.picture));
      again = made.find((each) => each !== null) ?? {};
      reuse.hidden = isAsMade(settings, again, state);
      expectation.render(state);
      error.set(state.sourceError);
      const busy = isDecomposing(state);
      const isReady = state.doc.picture !== null && state.upload === null && state.config !== null;
      button.disabled = !isReady || !isSeed(settings.seed) || hasTooMany(state);
      // A disabled button would lose the focus.
      setAttribute(button, "aria-disabled", busy || null);
      setText(button, busy ? t("source.decomposing") : buttonText(state));
    },
  };
}

/** Whether the settings are those of the current layers. @param {Settings} settings @param {Partial<Settings>} made @param {State} state */
function isAsMade(settings, made, { config, doc }) {
  const now = { ...settings, loras: lorasOf(config?.loras?.decompose ?? [], settings.loras) };
  const plain = (/** @type {Partial<Settings>} */ one) => ({ ...one, things: regionsOf(thingsOn(one, doc.picture)) });
  const [have, want] = [plain(now), plain({ ...now, ...made })];
  return JSON.stringify(have) === JSON.stringify(want);
}

/** The number of layers, or automatic. @param {(count: Settings["layerNum"]) => void} onchange */
function createLayerCount(onchange) {
  let number = 0;
  const slider = sliderField({ label: t("source.layers"), oninput: onchange });
  const auto = h("input", { type: "checkbox", onchange: () => onchange(auto.checked ? "auto" : number) });
  return {
    element: h("div.layer-count", slider.element, h("label.lora-name", auto, h("span", t("source.layersAuto")))),
    /** @param {Settings["layerNum"]} count @param {Config | null} config */
    render: (count, config) => {
      auto.checked = count === "auto";
      auto.disabled = config === null;
      number = count === "auto" ? number || (config?.defaults.layer_num ?? 0) : count;
      slider.set(number, config?.limits.layer_num, count === "auto" ? t("source.layersFound") : undefined);
    },
  };
}

/** @param {Actions} actions */
function createPrompt(actions) {
  const id = uniqueId("prompt");
  const words = h("textarea.input", {
    id,
    rows: 2,
    placeholder: t("source.promptPlaceholder"),
    oninput: () => actions.set({ prompt: words.value }),
  });
  return {
    element: field(t("source.prompt"), words, h("span.hint", t("source.optional"))),
    set: (/** @type {string} */ value) => setValue(words, value),
  };
}

/** A warning for an engine that does not separate the objects of a photograph. @param {HTMLImageElement} image @param {() => void} openEngine */
function createExpectation(image, openEngine) {
  const words = h("span");
  const element = h("p.hint", { hidden: true }, words, " ", h("button.link", { onclick: openEngine }, t("engine.other")));
  /** @type {boolean | null}   null until an engine needs it, because the measurement takes a moment */
  let photograph = null;
  let loaded = false;
  /** @type {Config["capabilities"]["photographs"]} */
  let comesApart = "things";
  function show() {
    if (loaded && comesApart !== "things") photograph ??= isPhotograph(image);
    element.hidden = !photograph || comesApart === "things";
    if (comesApart !== "things") setText(words, t(`source.photograph.${comesApart}`));
  }
  return {
    element,
    /** The picture has changed. */
    see: () => {
      photograph = null;
      loaded = true;
      show();
    },
    render: (/** @type {State} */ state) => {
      comesApart = capabilitiesOf(state).photographs;
      show();
    },
  };
}

/** @param {Actions} actions @param {() => void} onload @returns {View & {image: HTMLImageElement}} */
function createPictureBox(actions, onload) {
  const image = h("img.source-picture", { alt: "", decoding: "async", onload });
  const frame = h(
    "div.source-frame.checkerboard",
    image,
    filePicker({ label: t("source.replace"), look: "small", onfile: actions.openFile }),
  );
  const name = h("strong");
  const facts = h("span.hint.number");
  const caption = h("p.source-caption", name, facts);
  const empty = filePicker({ label: t("source.empty"), look: "source-empty", onfile: actions.openFile });
  return {
    image,
    element: h("div.source-box", frame, caption, empty),
    render: (state) => {
      const { doc, upload } = state;
      const address = upload?.preview ?? doc.picture?.image ?? null;
      frame.hidden = caption.hidden = address === null;
      empty.hidden = address !== null;
      if (address !== null) setAttribute(image, "src", address);
      setText(name, upload?.name ?? doc.picture?.name ?? "");
      setText(facts, upload !== null ? t("source.uploading") : factsOf(state));
    },
  };
}

/** @param {State} state */
function factsOf(state) {
  const { doc } = state;
  if (doc.picture === null) return "";
  const { width, height, scaledFrom } = doc.picture;
  const original = settingsOf(state).size === "original";
  const works = workingSize(state, doc.picture);
  const runs = original
    ? capabilitiesOf(state).any_size
      ? t("source.runsAsIs")
      : t("source.runsScaled", works)
    : t("source.runsAt", works);
  const scaled = scaledFrom && t("source.scaledFrom", { size: sizeWords(scaledFrom.width, scaledFrom.height) });
  return [sizeWords(width, height), scaled, runs].filter(Boolean).join(" · ");
}

/** @param {State} state */
function buttonText(state) {
  const seconds = estimate(state);
  return seconds === null ? t("source.decompose") : t("source.decomposeAbout", { time: duration(seconds) });
}
