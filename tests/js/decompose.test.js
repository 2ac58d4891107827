import "./browser.js";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { estimate, requestFor, workingSize } from "../../static/js/actions/decompose.js";
import { initialState, settingsIn } from "../../static/js/state/initial.js";
import { scoreWords } from "../../static/js/views/layers/results.js";
import { describeJob, stallOf } from "../../static/js/views/shell/job-bar.js";
import { clock } from "./browser.js";

const SIZES = JSON.parse(readFileSync(new URL("../model_sizes.json", import.meta.url), "utf8"));
const DEFAULTS = { layer_num: 4, steps: 50, cfg_scale: 4 };
const CAPABILITIES = {
  qwen: { decompose: ["prompt", "steps", "cfg_scale", "seed"], any_size: false },
  classical: { decompose: ["seed"], any_size: true },
};

/** Seconds that a picture of 12 megapixels may take. */
function ask(engine, settings, speeds = { [engine]: 1 }) {
  const base = initialState();
  const picture = { name: "", image: "", width: 4000, height: 3000 };
  const config = { engine, defaults: DEFAULTS, capabilities: CAPABILITIES[engine] };
  const doc = { ...base.doc, picture };
  return estimate(/** @type {any} */ ({ ...base, speeds, status: { engine }, config, doc, settings: { ...base.settings, ...settings } }));
}

test("a model works at the size that the server's pipelines work at", () => {
  for (const [width, height, resolution, ...size] of SIZES) {
    const state = { ...initialState(), settings: { size: String(resolution) } };
    const works = workingSize(/** @type {any} */ (state), { name: "", image: "", width, height });
    assert.deepEqual([works.width, works.height], size);
  }
});

test("the estimate grows with the work of a model", () => {
  assert.equal(ask("qwen", {}, {}), null);
  const [original, large, small] = ["original", "1024", "640"].map((size) => ask("qwen", { size }));
  assert.ok(original === large && large > small);
  assert.equal(ask("qwen", { steps: 25 }), original / 2);
  assert.ok(ask("qwen", { layerNum: 8 }) > original);
});

test("the estimate grows with the work of the classical engine, which has no steps", () => {
  const [original, large] = ["original", "1024"].map((size) => ask("classical", { size }));
  assert.ok(original > large);
  assert.equal(ask("classical", {}), large);
  assert.equal(ask("classical", { size: "original", steps: 25 }), original);
  const many = ask("classical", { size: "original", layerNum: 8 });
  assert.ok(original < many && many < 2 * original);
});

test("where the engine chooses how many layers there are, it is told so, and as many as it tries are expected", () => {
  const [auto, eight] = ["auto", 8].map((layerNum) => ask("classical", { layerNum }));
  assert.equal(auto, eight);
  assert.equal(ask("qwen", { layerNum: "auto" }), ask("qwen", { layerNum: 6 }));
  const config = { engine: "classical", defaults: DEFAULTS, capabilities: CAPABILITIES.classical };
  const state = /** @type {any} */ ({ ...initialState(), config, settings: { layerNum: "auto" } });
  assert.equal(requestFor(state, { image: "picture" }).layer_num, "auto");
});

test("a run on the engine beside Qwen-Image names it, and takes what that engine takes", () => {
  const base = initialState();
  const beside = { engine: "classical", capabilities: CAPABILITIES.classical };
  const config = { engine: "qwen", defaults: DEFAULTS, capabilities: CAPABILITIES.qwen, beside };
  const asked = (engine) =>
    requestFor(/** @type {any} */ ({ ...base, config, settings: { engine, prompt: "a house", seed: 1 } }), { image: "picture" });
  assert.deepEqual([asked(null).engine, asked(null).prompt, asked(null).seed], [undefined, "a house", 1]);
  assert.deepEqual([asked("classical").engine, asked("classical").prompt, asked("classical").seed], ["classical", undefined, 1]);
});

test("a recipe becomes settings again, of its own kind of run alone", () => {
  const config = /** @type {any} */ ({ engine: "qwen", beside: { engine: "classical" } });
  const options = {
    prompt: "a house",
    layer_num: 6,
    num_inference_steps: 20,
    cfg_scale: 3,
    seed: 9,
    output_size: "model",
    resolution: 640,
  };
  const made = settingsIn({ kind: "decompose", engine: "qwen", options }, "decompose", config);
  assert.deepEqual(made, { steps: 20, cfgScale: 3, seed: 9, engine: null, prompt: "a house", layerNum: 6, size: "640" });
  const beside = { kind: /** @type {const} */ ("decompose"), engine: "classical", options: { seed: 1, output_size: "original" } };
  assert.deepEqual(settingsIn(beside, "decompose", config), { seed: 1, engine: "classical", size: "original" });
  assert.deepEqual(settingsIn({ kind: "edit", engine: "qwen", options: { seed: 2, speed: "fast" } }, "edit", config), {
    seed: 2,
    speed: "fast",
  });
  assert.deepEqual([settingsIn(beside, "edit", config), settingsIn(undefined, "edit", config)], [null, null]);
});

test("a recipe brings its LoRAs and its named boxes back", () => {
  const loras = {
    decompose: [
      { name: "ink", weight: 1 },
      { name: "clay", weight: 0.5 },
    ],
    edit: [{ name: "glow", weight: 0 }],
  };
  const config = /** @type {any} */ ({ engine: "qwen", beside: null, loras });
  const regions = [{ box: [10, 20, 30, 50], name: "Hat" }];
  const recipe = /** @type {any} */ ({ kind: "decompose", engine: "qwen", options: { seed: 3, loras: ["clay:0.75"], regions } });
  const made = settingsIn(recipe, "decompose", config, { image: "/a.png" });
  assert.deepEqual(made?.loras, { ink: 0, clay: 0.75 });
  const things = { picture: "/a.png", boxes: [{ id: "made-0", x: 10, y: 20, width: 20, height: 30, name: "Hat" }] };
  assert.deepEqual(made?.things, things);
  assert.deepEqual(settingsIn({ ...recipe, kind: "edit" }, "edit", config), { seed: 3, loras: { glow: 0 } });
  const state = /** @type {any} */ ({
    ...initialState(),
    config: { ...config, capabilities: { decompose: ["loras"] }, defaults: { layer_num: 4 } },
  });
  assert.equal("loras" in requestFor(state, { image: "/a.png" }), false);
  const asked = requestFor({ ...state, settings: { loras: made?.loras } }, { image: "/a.png" });
  assert.deepEqual(asked.loras, ["clay:0.75"]);
});

test("what a decomposition is worth is said in a sentence", () => {
  const score = (psnr, ...verdicts) =>
    scoreWords(
      /** @type {any} */ ({
        psnr,
        useful: verdicts.filter((verdict) => verdict === "useful").length,
        layers: verdicts.map((verdict, index) => ({ verdict, name: `L${index + 1}`, like: verdict === "duplicate" ? 1 : null })),
      }),
    );
  assert.equal(score(null, "useful", "useful"), "All 2 layers are useful.");
  assert.equal(score(null, "useful"), "The layer is useful.");
  assert.equal(
    score(40, "useful", "empty", "duplicate", "unseen", "unseen", "useful"),
    "2 of 6 layers are useful; “L2” is empty, “L3” repeats “L1”, “L4” and “L5” add nothing visible: try 2 layers.",
  );
  assert.match(score(20, "empty"), /^0 of 1 layer are useful; “L1” is empty; together they rebuild the picture poorly/);
});

test("the place in the queue is said in words", () => {
  const words = [null, 1, 2, 3].map((position) => describeJob(/** @type {any} */ ({ job: { status: "queued", position } })));
  assert.deepEqual(words, ["Queued", "Queued, next", "Queued, 1 ahead", "Queued, 2 ahead"]);
});

test("silence is not taken for progress", () => {
  const job = { id: "stuck", status: "processing", phase: "denoising", step: 1, total: 4, eta_s: 3, position: null };
  const tracked = /** @type {any} */ ({ job, movedAt: Date.now(), canceling: false });
  assert.equal(describeJob(tracked), "Painting · step 2 of 4 · 3 s left");
  clock.tick(44_000);
  assert.equal(stallOf(tracked), null);
  clock.tick(16_000);
  assert.match(stallOf(tracked) ?? "", /^No progress for/);
  assert.equal(stallOf({ ...tracked, canceling: true }), null);
  const unknown = { ...tracked, job: { ...job, step: 0, total: 0 } };
  assert.equal(stallOf(unknown), null);
  assert.equal(describeJob(unknown), "Painting · 3 s left");
  assert.equal(stallOf({ ...tracked, job: { ...job, status: "queued" } }), null);
});
