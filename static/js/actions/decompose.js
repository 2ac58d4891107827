import { exactly, language, layerCount, t } from "../i18n.js";
import { decomposed } from "../state/commands.js";
import { newId } from "../state/doc.js";
import {
  besideOf,
  capabilitiesOf,
  engineField,
  isDecomposing,
  isSeed,
  loraField,
  mostLayers,
  sampled,
  settingsOf,
  used,
} from "../state/initial.js";
import { boxAmid, boxAround, hasTooMany, regionsOf, roomFor, thingAt, thingsOn } from "../state/things.js";
import { messageOf, paramOf } from "../transport/api.js";

/** Decomposes the picture. @param {Context} context @param {Jobs} jobs @param {Travel} history */
export function createDecompose({ store, api }, jobs, { undo }) {
  async function decompose() {
    const { doc, tool } = store.state;
    if (doc.picture === null || store.state.config === null || isDecomposing(store.state)) return;
    if (!isSeed(settingsOf(store.state).seed) || hasTooMany(store.state)) return;
    const { picture } = doc;
    const work = workOf(store.state, picture);
    const rest = tool?.kind === "things" ? null : tool;
    store.update({ sending: true, sourceError: null, thingsError: null, notice: null, tool: rest });
    try {
      const job = await api.decompose(requestFor(store.state, picture));
      jobs.track(job, { kind: "decompose", picture, work });
    } catch (error) {
      refuse(messageOf(error), paramOf(error));
    } finally {
      store.update({ sending: false });
    }
  }

  /** Show an error, at the boxes if it is about them. @param {string} message @param {string | null} [param] */
  const refuse = (message, param) => store.update(param === "regions" ? { thingsError: message } : { sourceError: message });

  /** @param {Job} job @param {{picture: Picture, work?: number}} purpose */
  function finish(job, { picture, work }) {
    if (job.status === "failed") return refuse(job.error?.message ?? t("error.unexpected"), job.error?.param);
    const answer = /** @type {Wire.DecomposeResponse} */ (job.result);
    const { engine, forward, generation_time: seconds } = answer;
    const speeds = work ? { ...store.state.speeds, [paceKey(engine, forward?.speed)]: seconds / work } : store.state.speeds;
    const replaced = store.state.doc.layers.length;
    store.run(decomposed(picture, answer, job.id), { speeds, mode: "layers" });
    const { layers } = store.state.doc;
    store.update({ selected: layers.at(-1)?.id ?? null });
    const words = t("notice.decomposed", { layers: layerCount(layers.length), time: exactly(seconds) });
    if (replaced === 0) return store.say(words);
    return store.say(t("notice.decomposedAgain", { words, layers: layerCount(replaced) }), { label: t("notice.undo"), run: undo });
  }

  /** Decompose again with other settings. @param {Partial<Settings>} settings */
  function decomposeAgain(settings) {
    store.update({ settings: { ...store.state.settings, ...settings } });
    return decompose();
  }

  return { finish, actions: { decompose, decomposeAgain } };
}

/** The request for a picture with the current settings. @param {State} state @param {{image: string}} picture */
export function requestFor(state, picture) {
  const { layerNum, size, seed, prompt, loras, ...sampling } = settingsOf(state);
  const regions = regionsOf(thingsOn(state.settings, picture));
  const choices = {
    seed: /** @type {number | null} */ (seed),
    prompt,
    regions,
    ...sampled(sampling),
    ...loraField(state.config?.loras?.decompose ?? [], loras),
  };
  const given = { image: picture.image, layer_num: layerNum, language, ...sizeFor(size), ...engineField(state) };
  return { ...given, ...used(choices, capabilitiesOf(state).decompose) };
}

/** A model's resolution for layers at the original size. */
const MODEL_RESOLUTION = 1024;

/** @param {Size} size @returns {Pick<Wire.DecomposeRequest, "resolution" | "output_size">} */
function sizeFor(size) {
  if (size === "original") return { resolution: MODEL_RESOLUTION, output_size: "original" };
  return { resolution: size === "640" ? 640 : 1024, output_size: "model" };
}

/**
 * The size that the model gives a picture: about resolution² pixels, aspect kept, sides multiples of 32.
 * @param {Picture} picture
 * @param {number} resolution
 */
function bucket(picture, resolution) {
  const side = Math.sqrt(picture.width / picture.height) * resolution;
  const other = side / (picture.width / picture.height);
  return { width: Math.round(side / 32) * 32, height: Math.round(other / 32) * 32 };
}

/** The classical engine's work per picture, as a number of layers. */
const CLASSICAL_BASE = 16;
/** A model's frames besides the layers: the input picture and the composite. */
const MODEL_FRAMES = 2;

/**
 * The size at which a picture is processed. The model has its own; only the classical engine supports any.
 * @param {State} state
 * @param {Picture} picture
 */
export function workingSize(state, picture) {
  const { size } = settingsOf(state);
  if (size !== "original") return bucket(picture, Number(size));
  return capabilitiesOf(state).any_size ? picture : bucket(picture, MODEL_RESOLUTION);
}

/** The work in megapixels: over all layers, and with a model over all steps. @param {State} state @param {Picture} picture */
export function workOf(state, picture) {
  const { width, height } = workingSize(state, picture);
  const { steps } = settingsOf(state);
  const layers = mostLayers(state);
  const passes = capabilitiesOf(state).decompose.includes("steps") ? (layers + MODEL_FRAMES) * steps : layers + CLASSICAL_BASE;
  return ((width * height) / 1e6) * passes;
}

/** The key of a measured pace. @param {string} engine @param {Speed} [speed] */
const paceKey = (engine, speed = "exact") => (speed === "exact" ? engine : `${engine}, ${speed}`);

/** The estimated seconds of a decomposition, or null before the first one. @param {State} state */
export function estimate(state) {
  const engine = besideOf(state)?.engine ?? state.status?.engine ?? "";
  const speed = state.speeds[paceKey(engine, settingsOf(state).speed)];
  return state.doc.picture === null || speed === undefined ? null : speed * workOf(state, state.doc.picture);
}

/** Named boxes that become separate layers. @param {Context} context */
export function createThings({ store }) {
  /** @type {ViewPatch} */
  const inHand = { tool: { kind: "things" }, mode: "layers", notice: null };

  /** @param {readonly Thing[]} boxes @param {ViewPatch} [patch] */
  function setThings(boxes, patch) {
    const { doc, settings } = store.state;
    if (doc.picture === null) return;
    store.update({ settings: { ...settings, things: { picture: doc.picture.image, boxes } }, thingsError: null, ...patch });
  }

  /** Pick the box to name or move; it shows on the stage. @param {string | null} thing */
  const pickThing = (thing) => store.update(thing === null ? { thing } : { thing, ...inHand });

  return {
    setThings,
    pickThing,

    /** @param {Point} place   in the document */
    pickThingAt: (place) => {
      const { doc, settings } = store.state;
      pickThing(thingAt(thingsOn(settings, doc.picture), place, doc)?.id ?? null);
    },

    /** Add a box, if there is a layer left for it, and edit its name. @param {readonly Point[]} [places]   in the document; a box in the middle, if they are left out */
    addThing: (places) => {
      const { doc, settings } = store.state;
      if (doc.picture === null || roomFor(store.state) <= 0) return;
      const things = thingsOn(settings, doc.picture);
      const box = places === undefined ? boxAmid(doc.picture, things.length) : boxAround(places, doc);
      const id = newId();
      if (box !== null) setThings([...things, { ...box, id, name: "" }], { thing: id, ...inHand });
    },
  };
}
