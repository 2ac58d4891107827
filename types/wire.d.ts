// Made of the OpenAPI document by scripts/wire_types.py (`make types`): change the models in web/, never this file.
declare namespace Wire {
  interface BesideResponse {
    engine: "classical" | "qwen" | "remote";
    label: string;
    capabilities: CapabilitiesResponse;
  }

  interface CapabilitiesResponse {
    decompose: string[];
    edit: string[];
    speeds: ("exact" | "fast" | "turbo")[];
    any_instruction: boolean;
    any_size: boolean;
    references: number;
    reports_steps: boolean;
    photographs: "things" | "subject" | "regions";
  }

  interface ChangedLayerResponse {
    index: number;
    image: string;
    coverage: number;
  }

  interface CompositeRequest {
    layers: PlacedLayer[];
    width?: number | null;
    height?: number | null;
    groups?: Record<string, Group>;
    background?: string | null;
  }

  interface ConfigResponse {
    engine: "classical" | "qwen" | "remote";
    capabilities: CapabilitiesResponse;
    beside: BesideResponse | null;
    defaults: DefaultsResponse;
    edit_defaults: SamplingResponse;
    loras: LorasResponse;
    limits: LimitsResponse;
  }

  interface Copy {
    name: string;
  }

  interface DecomposeRequest {
    image: string;
    steps?: number;
    cfg_scale?: number;
    speed?: "exact" | "fast" | "turbo";
    seed?: number | null;
    negative_prompt?: string;
    loras?: string[] | null;
    fit?: boolean;
    engine?: "classical" | "qwen" | "remote" | null;
    prompt?: string;
    layer_num?: number | "auto";
    resolution?: 640 | 1024;
    cfg_normalize?: boolean;
    use_en_prompt?: boolean;
    output_size?: "model" | "original";
    language?: "en" | "zh-Hans";
    regions?: NamedRegion[];
  }

  interface DecomposeResponse {
    layers: DecomposedLayer[];
    layer_count: number;
    seed: number;
    warnings: string[];
    scaled_from: [number, number] | null;
    prompt: string;
    resolution: number;
    width: number;
    height: number;
    generation_time: number;
    engine: string;
    forward: ForwardResponse | null;
    recipe: Recipe | null;
    score: ScoreResponse | null;
  }

  interface DecomposedLayer {
    index: number;
    name: string;
    image: string;
    width: number;
    height: number;
    coverage: number;
  }

  interface DefaultsResponse {
    steps: number;
    cfg_scale: number;
    speed: "exact" | "fast" | "turbo";
    layer_num: number;
    resolution: number;
    output_size: "model" | "original";
  }

  interface EditLayerRequest {
    image: string;
    steps?: number;
    cfg_scale?: number;
    speed?: "exact" | "fast" | "turbo";
    seed?: number | null;
    negative_prompt?: string;
    loras?: string[] | null;
    fit?: boolean;
    engine?: "classical" | "qwen" | "remote" | null;
    instruction: string;
    shape?: "keep" | "new";
    output_size?: "layer" | "model";
    region?: RegionOfLayer | null;
    context?: boolean;
    surroundings?: StackOfLayer | null;
    references?: string[];
  }

  interface EditLayerResponse {
    image: string;
    width: number;
    height: number;
    seed: number;
    warnings: string[];
    scaled_from: [number, number] | null;
    generation_time: number;
    engine: string;
    forward: ForwardResponse | null;
    recipe: Recipe | null;
  }

  interface EditStatusResponse {
    available: boolean;
    edit_model_loaded: boolean;
    edit_model_path: string;
    license: string;
  }

  interface ErrorBody {
    message: string;
    type: string;
    code: string;
    param: string | null;
    hint?: Hint | null;
  }

  interface ExportRequest {
    layers: NamedLayer[];
    width?: number | null;
    height?: number | null;
    groups?: Record<string, Group>;
    background?: string | null;
    format: "zip" | "psd" | "ora" | "svg" | "pptx" | "png" | "webp" | "avif" | "jpeg";
    name?: string;
    text?: "picture" | "editable" | "both";
  }

  interface ForwardResponse {
    blocks: "fused" | "diffusers";
    kernels: string;
    attention: string;
    why: string[];
    speed: "exact" | "fast" | "turbo";
    lossy: string[];
    loras: string[];
  }

  interface Group {
    opacity?: number;
    visible?: boolean;
    blend?: "pass-through" | "normal" | "multiply" | "screen" | "overlay" | "darken" | "lighten" | "color-dodge" | "color-burn" | "hard-light" | "soft-light" | "difference" | "exclusion" | "hue" | "saturation" | "color" | "luminosity";
  }

  interface HarmonizeRequest {
    layers: PlacedLayer[];
    width?: number | null;
    height?: number | null;
    groups?: Record<string, Group>;
    index: number;
    shadow?: boolean;
    name?: string;
  }

  interface HarmonizeResponse {
    image: string;
    coverage: number;
    strength: number;
    shadow: ImportedLayer | null;
  }

  interface Hint {
    reason: string;
    way: string | null;
    part: string | null;
  }

  interface HuggingFaceParameters {
    prompt: string;
    negative_prompt?: string | null;
    num_inference_steps?: number | null;
    guidance_scale?: number | null;
    seed?: number | null;
    target_size?: TargetSize | null;
  }

  interface HuggingFaceRequest {
    inputs: string;
    parameters: HuggingFaceParameters;
  }

  interface ImageData {
    b64_json?: string | null;
    url?: string | null;
  }

  interface ImageLayer {
    index: number;
    name: string;
    width: number;
    height: number;
    coverage: number;
  }

  interface ImageResponse {
    image: string;
    width: number;
    height: number;
  }

  interface ImagesResponse {
    created: number;
    data: ImageData[];
    background: "transparent" | "opaque";
    output_format: string;
    size: string;
    quality?: string;
    usage?: Usage;
    layers: ImageLayer[];
    seed: number;
    engine: string;
    generation_time: number;
    warnings: string[];
  }

  interface ImportResponse {
    kind: "zip" | "project" | "ora" | "psd" | "svg";
    width: number;
    height: number;
    layers: ImportedLayer[];
    groups: Record<string, Group>;
    warnings: string[];
  }

  interface ImportedLayer {
    opacity: number;
    visible: boolean;
    x: number;
    y: number;
    blend: "normal" | "multiply" | "screen" | "overlay" | "darken" | "lighten" | "color-dodge" | "color-burn" | "hard-light" | "soft-light" | "difference" | "exclusion" | "hue" | "saturation" | "color" | "luminosity";
    scale: number;
    stretch: number;
    rotation: number;
    flip_x: boolean;
    flip_y: boolean;
    name: string;
    group: string;
    recipe: Recipe | null;
    image: string;
    width: number;
    height: number;
    coverage: number;
  }

  interface ImportedProjectResponse {
    id: string;
    name: string;
    version: number;
    thumbnail: string | null;
    layer_count: number;
    created_at: number;
    updated_at: number;
    deleted_at: number | null;
    document: Record<string, any>;
    warnings: string[];
  }

  interface JobResponse {
    id: string;
    kind: "decompose" | "edit";
    status: "queued" | "processing" | "succeeded" | "failed" | "canceled";
    created_at: number;
    phase: string | null;
    step: number;
    total: number;
    eta_s: number | null;
    position: number | null;
    result: DecomposeResponse | EditLayerResponse | null;
    error: ErrorBody | null;
  }

  interface JobsResponse {
    jobs: JobResponse[];
  }

  type JsonValue = any;

  interface KeptImageResponse {
    image: string;
    width: number;
    height: number;
    scaled_from: [number, number] | null;
  }

  interface LayerScoreResponse {
    name: string;
    box: [number, number, number, number] | null;
    coverage: number;
    adds: number;
    verdict: "useful" | "empty" | "duplicate" | "unseen";
    like: number | null;
  }

  interface LimitsResponse {
    layer_num: [number, number];
    resolution: number[];
    output_size: ("model" | "original")[];
    steps: [number, number];
    cfg_scale: [number, number];
    seed: [number, number];
    max_body_mb: number;
    max_pixels: number;
    max_side: number;
    max_layers: number;
    max_stack_pixels: number;
    image_formats: string[];
    export_formats: ("zip" | "psd" | "ora" | "svg" | "pptx" | "png" | "webp" | "avif" | "jpeg")[];
    text_forms: ("picture" | "editable" | "both")[];
    blend_modes: ("normal" | "multiply" | "screen" | "overlay" | "darken" | "lighten" | "color-dodge" | "color-burn" | "hard-light" | "soft-light" | "difference" | "exclusion" | "hue" | "saturation" | "color" | "luminosity")[];
    scale: [number, number];
    offset: [number, number];
  }

  interface LiveResponse {
    status?: "alive";
  }

  interface LoraResponse {
    name: string;
    weight: number;
  }

  interface LorasResponse {
    decompose: LoraResponse[];
    edit: LoraResponse[];
  }

  interface MemoryResponse {
    used_bytes: number;
    total_bytes: number;
  }

  interface ModelResponse {
    id: string;
    object?: "model";
    created?: number;
    owned_by?: string;
  }

  interface ModelsResponse {
    object?: "list";
    data: ModelResponse[];
  }

  interface NamedLayer {
    opacity?: number;
    visible?: boolean;
    x?: number;
    y?: number;
    blend?: "normal" | "multiply" | "screen" | "overlay" | "darken" | "lighten" | "color-dodge" | "color-burn" | "hard-light" | "soft-light" | "difference" | "exclusion" | "hue" | "saturation" | "color" | "luminosity";
    scale?: number;
    stretch?: number;
    rotation?: number;
    flip_x?: boolean;
    flip_y?: boolean;
    name?: string;
    group?: string;
    recipe?: Recipe | null;
    image: string;
  }

  interface NamedRegion {
    box: number[];
    name?: string;
  }

  interface NewProject {
    name: string;
    document: Record<string, any>;
    thumbnail?: string | null;
  }

  interface PlacedLayer {
    opacity?: number;
    visible?: boolean;
    x?: number;
    y?: number;
    blend?: "normal" | "multiply" | "screen" | "overlay" | "darken" | "lighten" | "color-dodge" | "color-burn" | "hard-light" | "soft-light" | "difference" | "exclusion" | "hue" | "saturation" | "color" | "luminosity";
    scale?: number;
    stretch?: number;
    rotation?: number;
    flip_x?: boolean;
    flip_y?: boolean;
    image: string;
    group?: string;
  }

  interface Problem {
    type?: string;
    title: string;
    status: number;
    detail: string;
    code: string;
    request_id: string;
    error: ErrorBody;
  }

  interface ProjectResponse {
    id: string;
    name: string;
    version: number;
    thumbnail: string | null;
    layer_count: number;
    created_at: number;
    updated_at: number;
    deleted_at: number | null;
    document: Record<string, any>;
  }

  interface ProjectsResponse {
    projects: SummaryResponse[];
  }

  interface QueueResponse {
    length: number;
    running: number;
    max_length: number;
  }

  interface ReadyResponse {
    status?: "ready";
    engine: string;
    engine_label: string;
    reason: string;
    warnings: string[];
  }

  interface Recipe {
    kind: "decompose" | "edit";
    engine: string;
    model?: string;
    revision?: string;
    version?: string;
    options?: Record<string, JsonValue>;
  }

  interface RegionOfLayer {
    box?: number[] | null;
    mask?: string | null;
  }

  interface SamplingResponse {
    steps: number;
    cfg_scale: number;
    speed: "exact" | "fast" | "turbo";
  }

  interface SavedProject {
    name: string;
    document: Record<string, any>;
    thumbnail?: string | null;
    version: number;
  }

  interface ScoreResponse {
    mean: number;
    worst: number;
    psnr: number | null;
    layers: LayerScoreResponse[];
    useful: number;
    sentence: string;
  }

  interface SelectLayerRequest {
    layers: NamedLayer[];
    width?: number | null;
    height?: number | null;
    groups?: Record<string, Group>;
    background?: string | null;
    mask: string;
    name?: string;
  }

  interface SelectLayerResponse {
    index: number;
    layer: ImportedLayer;
    changed: ChangedLayerResponse[];
  }

  interface SelectRequest {
    layers: PlacedLayer[];
    width?: number | null;
    height?: number | null;
    groups?: Record<string, Group>;
    background?: string | null;
    points?: number[][];
    without?: number[][];
    box?: number[] | null;
    line?: number[][];
  }

  interface SelectResponse {
    mask: string;
    width: number;
    height: number;
    box: [number, number, number, number] | null;
    coverage: number;
  }

  interface StackOfLayer {
    layers: PlacedLayer[];
    width?: number | null;
    height?: number | null;
    groups?: Record<string, Group>;
    index: number;
  }

  interface StatusResponse {
    engine: "classical" | "qwen" | "remote";
    engine_label: string;
    device: string;
    state: "loading" | "ready" | "unloaded" | "failed";
    error: string | null;
    memory: MemoryResponse | null;
    device_memory: MemoryResponse | null;
    loaded_models: string[];
    placement: string;
    loras: string[];
    forward: ForwardResponse | null;
    edit_available: boolean;
    reason: string;
    hint: string;
    queue: QueueResponse;
  }

  interface SummaryResponse {
    id: string;
    name: string;
    version: number;
    thumbnail: string | null;
    layer_count: number;
    created_at: number;
    updated_at: number;
    deleted_at: number | null;
  }

  interface TargetSize {
    width: number;
    height: number;
  }

  interface Usage {
    input_tokens?: number;
    output_tokens?: number;
    total_tokens?: number;
    input_tokens_details?: Record<string, number>;
  }
}
