import { EMPTY_DOC } from "./doc.js";

export const LIMITS = { layers: [1, 10], steps: [1, 100], cfgScale: [1, 20], variants: [1, 2, 3, 4], maxSeed: Number.MAX_SAFE_INTEGER };

/** @type {Timeline} */
export const EMPTY_TIMELINE = { doc: EMPTY_DOC, past: [], future: [] };

/** @type {Edit} */
export const NEW_EDIT = {
  instruction: "",
  shape: "keep",
  steps: 50,
  cfgScale: 4,
  seed: null,
  locked: false,
  variants: 1,
  sending: false,
  chosen: null,
  waiting: [],
  tries: [],
};

/** @type {Settings} */
export const DEFAULT_SETTINGS = { prompt: "", layerNum: 4, size: "original", steps: 50, cfgScale: 4, seed: null };

/** What a tab knows of the project at hand, and forgets when it turns to another. */
export const AT_HAND = {
  settings: DEFAULT_SETTINGS,
  edits: {},
  jobs: {},
  folded: [],
  selected: null,
  editing: null,
  versus: /** @type {Versus} */ ({ how: "slider", where: "layer" }),
  mode: /** @type {const} */ ("layers"),
  upload: null,
  sending: false,
  sourceError: null,
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
    speeds: {},
    status: null,
    config: null,
    reachable: true,
    exporting: null,
    spoken: "",
  };
}
