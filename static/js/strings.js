// @ts-check
/** Every word the page says. */

const number = (/** @type {number} */ value, digits = 1) => value.toFixed(digits);
const gigabytes = (/** @type {number} */ bytes) => (bytes < 1e8 ? (bytes / 1e9).toFixed(3) : (bytes / 1e9).toFixed(1));
const percent = (/** @type {number} */ share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${+(share * 100).toFixed(1)} %`);

const layerCount = (/** @type {number} */ count) => (count === 1 ? "1 layer" : `${count} layers`);

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 1) return "1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

export const strings = {
  name: "llm-dit",
  skip: "Skip to the picture",
  percent,

  header: {
    undo: "Undo",
    redo: "Redo",
    undoStep: (/** @type {string} */ label) => `Undo: ${label}`,
    redoStep: (/** @type {string} */ label) => `Redo: ${label}`,
    engineUnknown: "Connecting…",
    engineGone: "Offline",
    engineLoading: "Loading",
    engineFailed: "Cannot run",
    engineNamed: (/** @type {string} */ state, /** @type {string} */ label) => `${label}: ${state.toLowerCase()}`,
    engineTitle: "About this engine",
    queue: (/** @type {number} */ length) => `Queue ${length}`,
    theme: { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" },
    help: "Shortcuts and help",
  },

  source: {
    region: "Source",
    title: "Source",
    choose: "Choose a picture",
    replace: "Replace",
    camera: "Take a photo",
    uploading: "Uploading…",
    empty: "Drop, paste or choose",
    size: (/** @type {number} */ width, /** @type {number} */ height) => `${width} × ${height} px`,
    runsAt: (/** @type {number} */ width, /** @type {number} */ height) => `runs at ${width} × ${height}`,
    runsAsIs: "runs at full size",
    prompt: "Describe the picture",
    optional: "optional",
    promptPlaceholder: "Left empty, the model describes it",
    layers: "Layers",
    sizeLabel: "Size",
    sizes: { 640: "640", 1024: "1024", original: "Original" },
    more: "Guidance, steps, seed",
    moreSeed: "Seed",
    guidance: "Guidance",
    steps: "Steps",
    seed: "Seed",
    seedPlaceholder: "Random",
    seedProblem: "A seed is a whole number from 0 up. Leave it empty for a random one.",
    classicalHint: "This engine takes no description, steps or guidance. Those belong to Qwen-Image.",
    decompose: "Decompose",
    decomposeAbout: (/** @type {number} */ seconds) => `Decompose · about ${duration(seconds)}`,
    decomposing: "Decomposing…",
    samples: "Or start with a sample",
    drop: "Drop the picture to open it",
  },

  samples: { house: "House and garden", poster: "Poster", night: "Night camp", balloons: "Balloons" },

  stage: {
    region: "Picture",
    welcome: "Take a picture apart",
    welcomeText: "Drop a picture anywhere or paste it. It comes back as layers you can edit one by one and put together again.",
    modes: { layers: "Layers", original: "Original", difference: "Difference" },
    modesLabel: "What the stage shows",
    differenceHint: "Black is equal · differences shown 4×",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    zoomFit: "Fit",
    zoomActual: "Zoom to 100 %",
    zoom: (/** @type {number} */ scale) => `${Math.round(scale * 100)} %`,
    canvas: (/** @type {number} */ layers) => (layers === 0 ? "The picture" : `The picture, composed of ${layerCount(layers)}`),
    missing: "The server no longer has these pictures. Open the original again to go on.",
  },

  layers: {
    region: "Layers",
    title: "Layers",
    empty: "Layers appear here, top first, once a picture is taken apart.",
    ready: "Choose how many layers, then press Decompose.",
    working: "Taking the picture apart…",
    exact: "rebuilds exactly",
    fidelity: (/** @type {number} */ psnr, /** @type {boolean} */ resampled) => `rebuilds to ${number(psnr)} dB${resampled ? ", scaled" : ""}`,
    fidelityTitle: (/** @type {number} */ max, /** @type {boolean} */ resampled) =>
      `The unedited layers, put together, differ from the original by at most ${max} of 255 in any channel` +
      (resampled ? ", scaling included." : "."),
    coverage: (/** @type {number} */ coverage) => percent(coverage),
    coverageTitle: "How much of the picture this layer covers",
    opacity: "Opacity",
    opacityOf: (/** @type {string} */ name) => `Opacity of ${name}`,
    select: (/** @type {string} */ name) => `Select ${name}`,
    hide: (/** @type {string} */ name) => `Hide ${name}`,
    show: (/** @type {string} */ name) => `Show ${name}`,
    up: (/** @type {string} */ name) => `Move ${name} up`,
    down: (/** @type {string} */ name) => `Move ${name} down`,
    drag: (/** @type {string} */ name) => `Drag ${name} to reorder`,
    rename: (/** @type {string} */ name) => `Rename ${name}`,
    nameField: "Layer name",
    edit: "Edit",
    editOf: (/** @type {string} */ name) => `Edit ${name}`,
    badges: { running: "edit running", ready: "result waiting", failed: "edit failed" },
    version: (/** @type {number} */ version) => `v${version}`,
    moved: (/** @type {string} */ name, /** @type {number} */ place, /** @type {number} */ count) =>
      `${name} moved to ${place} of ${count}`,
    downloadZip: "Download ZIP",
    downloadPng: "PNG",
    downloadPngTitle: "Download the composite as PNG",
    preparing: "Preparing…",
  },

  steps: {
    picture: "Open picture",
    decompose: "Decompose",
    opacity: (/** @type {string} */ name) => `Opacity of ${name}`,
    hide: (/** @type {string} */ name) => `Hide ${name}`,
    show: (/** @type {string} */ name) => `Show ${name}`,
    move: (/** @type {string} */ name) => `Move ${name}`,
    rename: (/** @type {string} */ name) => `Rename ${name}`,
    replace: (/** @type {string} */ name) => `Edit ${name}`,
  },

  edit: {
    instruction: "Instruction",
    placeholder: "What should change? For example: change the color to blue",
    chips: [
      "Change the color to blue",
      "Make it more vibrant",
      "Add a warm glow",
      "Remove the background",
      "Make it look vintage",
      "Add shadows",
      "Simplify the details",
    ],
    qwenChips: ["Make it photorealistic"],
    examples: "Examples",
    shape: "Shape",
    shapes: { keep: "Keep", new: "New" },
    shapeHints: { keep: "The outline stays as it is.", new: "The edit may change the outline." },
    more: "Guidance, steps, seed",
    moreSeed: "Seed",
    apply: "Apply",
    applyKey: "Ctrl+Enter",
    cancel: "Cancel",
    replace: "Replace layer",
    retry: "Retry",
    discard: "Discard",
    close: "Close",
    closeHint: "Closing keeps this edit.",
    before: "before",
    after: "after",
    compare: "Compare before and after",
    made: (/** @type {number} */ seconds, /** @type {number} */ seed) => `Made in ${number(seconds)} s · seed ${seed}`,
    canDo: "What it can do",
  },

  job: {
    idle: {
      ready: "Ready",
      loading: "The engine is loading…",
      failed: "The engine cannot run",
      unknown: "Connecting…",
      unreachable: "Offline",
    },
    facts: (/** @type {string} */ name, /** @type {import("./types.js").Project} */ { width, height, layers, seed }) =>
      [name, `${width} × ${height} px`, ...(layers.length ? [layerCount(layers.length), `seed ${seed}`] : [])].join(" · "),
    decompose: "Taking the picture apart",
    edit: (/** @type {string} */ name) => `Editing “${name}”`,
    someLayer: "layer",
    sending: "Sending…",
    queued: (/** @type {number | null} */ position) =>
      position === null ? "Queued" : position <= 1 ? "Queued, next" : `Queued, ${position - 1} ahead`,
    starting: "Starting",
    phases: /** @type {Record<string, string>} */ ({ downloading: "Downloading the model" }),
    bytes: (/** @type {number} */ done, /** @type {number} */ all) => `${gigabytes(done)} of ${gigabytes(all)} GB`,
    step: (/** @type {number} */ step, /** @type {number} */ total) => `step ${step} of ${total}`,
    left: (/** @type {number} */ seconds) => `${duration(seconds)} left`,
    more: (/** @type {number} */ count) => `+${count} more`,
    cancel: "Cancel",
    canceling: "Canceling…",
    progress: "Progress",
    lost: "The server no longer knows this job, it may have been restarted. Please run it again.",
  },

  notices: {
    decomposed: (/** @type {number} */ count, /** @type {number} */ seconds) => `${layerCount(count)} in ${number(seconds)} s`,
    editReady: (/** @type {string} */ name) => `The edit of “${name}” is ready`,
    editFailed: (/** @type {string} */ name) => `The edit of “${name}” failed`,
    replaced: (/** @type {string} */ name) => `“${name}” replaced`,
    canceled: "Canceled",
    review: "Review",
    undo: "Undo",
    undone: (/** @type {string} */ label) => `Undone: ${label}`,
    redone: (/** @type {string} */ label) => `Redone: ${label}`,
    dismiss: "Dismiss",
  },

  offline: {
    text: "The server cannot be reached. Your work is kept; this page goes on by itself.",
    retry: "Try again",
  },

  broken: {
    title: (/** @type {string} */ label) => `${label} cannot run.`,
    more: "About this engine",
  },

  engine: {
    title: (/** @type {string} */ label) => `${label} engine`,
    classical: "Takes pictures apart and edits layers by classical image processing, on this computer’s processor. No model, no download, no graphics card.",
    classicalEdits: "It understands a documented set of instructions: colors, light, warmth, shadows, vintage, blur, simplify and more.",
    qwen: "Qwen-Image-Layered takes pictures apart, Qwen-Image-Edit-2509 edits a layer by any instruction.",
    other: "How to get the other engine",
    device: "Runs on",
    waiting: "Waiting",
    running: "Running",
    models: "Loaded",
    loading: "Loading…",
    close: "Close",
  },

  help: {
    title: "Shortcuts",
    close: "Close",
    about: "A picture becomes layers; a layer is edited in words; the stack is put together again. Everything stays on this server, nothing is sent anywhere else.",
    groups: [
      {
        title: "Everywhere",
        rows: [
          ["Ctrl V", "Paste a picture"],
          ["Ctrl Enter", "Decompose, or apply the edit"],
          ["Ctrl Z", "Undo"],
          ["Ctrl Shift Z", "Redo"],
          ["?", "This help"],
        ],
      },
      {
        title: "Picture",
        rows: [
          ["+ −", "Zoom"],
          ["0", "Fit"],
          ["1", "100 %"],
          ["O", "Original ⇄ layers"],
          ["D", "Difference ⇄ layers"],
        ],
      },
      {
        title: "A selected layer",
        rows: [
          ["↑ ↓", "Select another layer"],
          ["Alt ↑ ↓", "Move it in the stack"],
          ["V", "Hide or show"],
          ["E", "Edit"],
          ["F2", "Rename"],
        ],
      },
    ],
  },

  errors: {
    more: "More",
    unreachable: "The server cannot be reached. Check that it is running, then try again.",
    unexpected: "Something unexpected happened in the page. Reload it; your work is kept.",
    status: (/** @type {number} */ status) => `The server answered with an error (${status}).`,
    notAPicture: "There is no picture in that. Drop or paste a PNG, JPEG or WebP.",
  },

  files: { pasted: "Pasted picture", zip: "layers.zip", png: "composite.png" },
};
