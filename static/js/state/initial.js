import { EMPTY_DOC } from "./doc.js";

/** The page's own limits; the server has the others. A seed is exact in JSON; a brush's width is relative to the picture's longer side. */
export const LIMITS = { variants: [1, 2, 3, 4], maxSeed: Number.MAX_SAFE_INTEGER, brush: [0.004, 0.3] };

/** A brush scaled by a factor, within the limits. @param {number} size @param {number} by */
export const resized = (size, by) => Math.min(LIMITS.brush[1], Math.max(LIMITS.brush[0], size * by));

/** Until the server's defaults are known. */
const UNKNOWN = { layerNum: 0, steps: 0, cfgScale: 0, speed: /** @type {Speed} */ ("exact") };

/** @type {Timeline} */
export const EMPTY_TIMELINE = { doc: EMPTY_DOC, past: [], future: [] };

/** @type {Edit} */
export const NEW_EDIT = {
  instruction: "",
  region: [],
  references: [],
  context: null,
  loras: null,
  shape: "keep",
  steps: UNKNOWN.steps,
  cfgScale: UNKNOWN.cfgScale,
  speed: UNKNOWN.speed,
  seed: null,
  locked: false,
  variants: 1,
  sending: false,
  chosen: null,
  waiting: [],
  tries: [],
};

/** @type {Settings} */
const SETTINGS = { ...UNKNOWN, prompt: "", size: "original", seed: null, engine: null, loras: null, things: null };

/** A tab's state of the current project, reset when it opens another. */
export const AT_HAND = {
  settings: {},
  edits: {},
  jobs: {},
  folded: [],
  selected: null,
  group: null,
  also: [],
  pointed: null,
  editing: null,
  placing: null,
  marking: null,
  walking: false,
  compared: [],
  previewing: true,
  versus: /** @type {Versus} */ ({ how: "slider", where: "layer" }),
  mode: /** @type {const} */ ("layers"),
  tool: null,
  thing: null,
  upload: null,
  sending: false,
  sourceError: null,
  thingsError: null,
  stageError: null,
  fidelity: null,
  measured: null,
  notice: null,
  conflict: false,
};

/** @returns {State} */
export function initialState() {
  return {
    ...EMPTY_TIMELINE,
    ...AT_HAND,
    project: null,
    saving: "saved",
    entering: true,
    projects: null,
    deleted: null,
    jobList: null,
    jobsError: null,
    unseen: null,
    speeds: {},
    status: null,
    config: null,
    reachable: true,
    exporting: null,
    spoken: "",
  };
}

/** The layer limits of a model and of the built-in engine when the number of layers is automatic. */
const TRIED = { drawn: 6, found: 8 };

/** The largest number of layers. @param {Pick<State, "settings" | "config" | "doc">} state */
export function mostLayers(state) {
  const { layerNum } = settingsOf(state);
  if (layerNum !== "auto") return layerNum;
  return capabilitiesOf(state).decompose.includes("steps") ? TRIED.drawn : TRIED.found;
}

/** The chosen settings of a decomposition, with the server's defaults for the rest. @param {Pick<State, "settings" | "config" | "doc">} state @returns {Settings} */
export function settingsOf({ settings, config, doc }) {
  const size = isLarge({ settings, config, doc }) ? /** @type {const} */ ({ size: "1024" }) : {};
  const sampling = samplingOf(config?.defaults);
  return { ...SETTINGS, ...size, ...(config && { layerNum: config.defaults.layer_num }), ...sampling, ...settings };
}

const LARGE_PX = 4_000_000;

/** Whether the picture is slow to process at its own size. @param {Pick<State, "settings" | "config" | "doc">} state */
export const isLarge = ({ settings, config, doc: { picture } }) =>
  picture !== null && picture.width * picture.height > LARGE_PX && capabilitiesOf({ settings, config }).any_size;

/** How a model samples by default. @param {Wire.SamplingResponse | undefined} defaults */
export const samplingOf = (defaults) => defaults && { steps: defaults.steps, cfgScale: defaults.cfg_scale, speed: defaults.speed };

/** The fields of a request for it; a distilled model has its own steps and guidance. @param {Sampling} sampling */
export const sampled = ({ steps, cfgScale, speed }) => (speed === "turbo" ? { speed } : { speed, steps, cfg_scale: cfgScale });

/**
 * The settings of a result for which the page has controls; none for another kind of run.
 * @param {Recipe | null | undefined} recipe
 * @param {Recipe["kind"]} kind
 * @param {Config | null} config
 * @param {{image: string} | null} [picture]   with the boxes
 */
export function settingsIn(recipe, kind, config, picture = null) {
  if (recipe?.kind !== kind) return null;
  const { num_inference_steps, cfg_scale, speed, seed, prompt, layer_num, output_size, resolution } = recipe.options ?? {};
  const listed = recipe.engine === config?.engine ? (config?.loras?.[kind] ?? []) : [];
  const loras = listed.length > 0 ? lorasIn(listed, recipe.options?.loras ?? []) : undefined;
  const sampling = { steps: num_inference_steps, cfgScale: cfg_scale, speed, seed, loras };
  const engine = recipe.engine === config?.beside?.engine ? recipe.engine : null;
  const size = output_size === "original" ? output_size : String(resolution ?? "");
  const things = picture === null ? undefined : thingsIn(recipe, picture.image);
  const own = kind === "edit" ? sampling : { ...sampling, engine, prompt, layerNum: layer_num, size, things };
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined && value !== ""));
}

/** The named boxes of a recipe, on the picture that they were drawn on. @param {Recipe} recipe @param {string} picture @returns {Settings["things"] | undefined} */
function thingsIn({ options }, picture) {
  const regions = /** @type {Wire.NamedRegion[] | undefined} */ (options?.regions);
  const boxes = regions?.map(({ box: [x, y, right, bottom], name = "" }, index) => ({
    id: `made-${index}`,
    x,
    y,
    width: right - x,
    height: bottom - y,
    name,
  }));
  return boxes && { picture, boxes };
}

/** A typed seed: a whole number, null for a random one, or the text itself if it is neither. @param {string} text @returns {Seed} */
export function seedFrom(text) {
  const typed = text.trim();
  if (typed === "") return null;
  return /^\d+$/.test(typed) && Number(typed) <= LIMITS.maxSeed ? Number(typed) : text;
}

/** @param {Seed} seed @returns {seed is number | null} */
export const isSeed = (seed) => typeof seed !== "string";

/** The engine's state, as far as the page knows. @param {Status | null} status @param {boolean} reachable @returns {EngineState} */
export function engineState(status, reachable) {
  if (!reachable) return "unreachable";
  return status?.state ?? "unknown";
}

/** @type {Config["capabilities"]} */
const UNKNOWN_CAPABILITIES = {
  decompose: [],
  edit: [],
  speeds: [],
  any_instruction: false,
  any_size: true,
  references: 0,
  reports_steps: true,
  photographs: "things",
};

/** The second engine, if it was picked. @param {Pick<State, "settings" | "config">} state */
export const besideOf = ({ settings, config }) => (config?.beside?.engine === settings.engine ? (config?.beside ?? null) : null);

/** The capabilities of the picked engine. @param {Pick<State, "settings" | "config">} state */
export const capabilitiesOf = (state) => (besideOf(state) ?? state.config)?.capabilities ?? UNKNOWN_CAPABILITIES;

/** The request's field for the engine, if it is not the service's own. @param {Pick<State, "settings" | "config">} state */
export const engineField = (state) => (besideOf(state) === null ? {} : { engine: besideOf(state)?.engine });

/** The fields that the engine uses. @template {object} T @param {T} fields @param {readonly string[]} takes @returns {Partial<T>} */
export const used = (fields, takes) =>
  /** @type {Partial<T>} */ (Object.fromEntries(Object.entries(fields).filter(([name]) => takes.includes(name))));

/** The queued and running jobs of a kind, of one layer if given. @param {State} state @param {Purpose["kind"]} kind @param {string} [layerId] */
export const atWork = ({ jobs }, kind, layerId) =>
  Object.values(jobs).filter(
    ({ purpose }) => purpose.kind === kind && (layerId === undefined || (purpose.kind !== "decompose" && purpose.layerId === layerId)),
  );

/** Whether a decomposition is running or about to start. @param {State} state */
export const isDecomposing = (state) => state.sending || atWork(state, "decompose").length > 0;

// LoRAs of a run, by name with their weights; a weight of 0 is off. Null means the server's configuration.

/** The server's LoRAs for a kind of run, with the chosen weights. @param {readonly Wire.LoraResponse[]} listed @param {Loras | null} chosen @returns {Loras} */
export const lorasOf = (listed, chosen) => Object.fromEntries(listed.map(({ name, weight }) => [name, chosen?.[name] ?? weight]));

/** The request's field with the active LoRAs; nothing if the server has none, or for its defaults. @param {readonly Wire.LoraResponse[]} listed @param {Loras | null} chosen */
export function loraField(listed, chosen) {
  if (chosen === null || listed.length === 0) return {};
  const on = Object.entries(lorasOf(listed, chosen)).filter(([, weight]) => weight !== 0);
  return { loras: on.map(([name, weight]) => `${name}:${weight}`) };
}

/** The LoRAs of a recipe among those of the server. @param {readonly Wire.LoraResponse[]} listed @param {readonly string[]} told   as "NAME" or "NAME:WEIGHT" @returns {Loras} */
export function lorasIn(listed, told) {
  const weights = new Map(told.map((text) => /** @type {[string, number]} */ ([text.split(":")[0], Number(text.split(":")[1] ?? 1)])));
  return Object.fromEntries(listed.map(({ name }) => [name, weights.get(name) ?? 0]));
}
