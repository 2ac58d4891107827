// @ts-check
/** @typedef {import("../types.js").State} State */

export const LIMITS = { layers: [1, 10], steps: [1, 100], cfgScale: [1, 20], maxSeed: Number.MAX_SAFE_INTEGER };

/** @type {import("../types.js").Project} */
export const EMPTY_PROJECT = { picture: null, layers: [], width: 0, height: 0, composite: null, seed: null, prompt: "" };

/** @type {import("../types.js").Edit} */
export const NEW_EDIT = {
  instruction: "",
  shape: "keep",
  steps: 50,
  cfgScale: 4,
  seed: null,
  sending: false,
  jobId: null,
  result: null,
  error: null,
};

/** @returns {State} */
export function initialState() {
  return {
    project: EMPTY_PROJECT,
    past: [],
    future: [],
    settings: { prompt: "", layerNum: 4, size: "original", steps: 50, cfgScale: 4, seed: null },
    edits: {},
    jobs: {},
    speeds: {},
    selected: null,
    editing: null,
    mode: "layers",
    upload: null,
    sending: false,
    sourceError: null,
    stageError: null,
    status: null,
    reachable: true,
    fidelity: null,
    exporting: null,
    notice: null,
    spoken: "",
  };
}
