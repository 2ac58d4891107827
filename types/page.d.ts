/**
 * The values that pass between the page's modules, for `tsc` alone: nothing of it reaches a browser. Pictures are
 * addresses (`/api/images/….png`) of what the server holds.
 */
declare global {
  // Geometry
  type Point = { x: number; y: number };
  type Extent = { width: number; height: number };
  type Box = Point & Extent;
  /** A point p of the picture is at `p * scale + (x, y)` of the stage. */
  type Camera = { scale: number; x: number; y: number };

  // The document
  /** `scaledFrom`: what it measured before it was made smaller. */
  type Picture = { name: string; image: string; width: number; height: number; scaledFrom?: Extent };

  /** One picture that a layer has had; versions are added and never taken away. */
  interface Version {
    image: string;
    /** Mean alpha, 0–1. */
    coverage: number;
    /** What made it of the one before; "" for the first. */
    instruction: string;
    seed: number | null;
    shape: Shape | null;
    engine: string;
    /** ISO 8601; null for the first. */
    at: string | null;
    /** The picture that it was made of. */
    from: string | null;
    /** How long that took. */
    seconds: number | null;
    /** How to make it again; versions of before this was kept have none. */
    recipe?: Recipe | null;
    /** What alone might change; nothing, or not there, for all of it. */
    region?: readonly RegionMark[];
    /** Whether the model saw what lay around it. */
    context?: boolean;
    references?: readonly Reference[];
  }

  type Recipe = Wire.Recipe;

  type Speed = NonNullable<Wire.DecomposeRequest["speed"]>;
  type Shape = NonNullable<Wire.EditLayerRequest["shape"]>;
  type Blend = NonNullable<Wire.PlacedLayer["blend"]>;

  /** `x` and `y` are of the top left corner, in pixels of the document; `scale` is about it. */
  type Placing = Required<Omit<Wire.NamedLayer, "image" | "flip_x" | "flip_y" | "recipe">> & { flipX: boolean; flipY: boolean };
  /** How a layer lies, with the size of its own picture. */
  type Placed = Pick<Layer, "x" | "y" | "width" | "height" | "scale" | "stretch" | "rotation" | "flipX" | "flipY">;
  type Group = Readonly<Required<Wire.Group>>;
  type Layer = Readonly<Placing & {
    /** Never reused, whatever happens to the layer. */
    id: string;
    /** Of the current version, as is the coverage. */
    image: string;
    coverage: number;
    /** Of the picture in its own pixels. */
    width: number;
    height: number;
    versions: readonly Version[];
    /** Index of the version that is shown. */
    current: number;
    /** Indexes of versions that are not offered any more. */
    discarded: readonly number[];
  }>;

  /** What of the stack is meant: a layer by its id, or a group by its label. */
  type Part = Readonly<{ kind: "layer" | "group"; key: string; name: string }>;
  /** A line of the list: `depth` is how many groups it is in, `layers` are those of a group, top first; `hidden`: a group around it is folded. */
  type Row = Readonly<{ part: Part; depth: number; layers: Layer[]; hidden: boolean }>;

  /** What undo and redo travel through. */
  type Doc = Readonly<{
    picture: Picture | null;
    /** Bottom to top. */
    layers: readonly Layer[];
    width: number;
    height: number;
    /** Where the picture lies in the canvas; null for all of it. */
    frame: Box | null;
    /** The server's own composite of the layers as decomposed. */
    composite: string | null;
    /** The layers as decomposed, bottom to top. */
    made: readonly string[];
    /** How groups show, by their labels. */
    groups: Readonly<Record<string, Group>>;
    /** What the layers as decomposed are worth; null for those from elsewhere, or of before. */
    score: Wire.ScoreResponse | null;
    seed: number | null;
    prompt: string;
    /** Counts the results of the picture. */
    number: number;
    /** What the picture was taken apart into besides, with what was made of it since. */
    others: readonly Result[];
  }>;
  type Result = Pick<Doc, "layers" | "width" | "height" | "frame" | "composite" | "made" | "groups" | "score" | "seed" | "prompt" | "number">;

  /** A change of the document with a name that people read on the undo button. */
  interface Command {
    title: Key;
    /** The values of the title. */
    about: Values;
    /** Commands in a row with the same one are one step. */
    gesture: string | null;
    /** The same document when there is nothing to change. */
    apply: (doc: Doc) => Doc;
  }
  type Step = Readonly<{ title: Key; about: Values; gesture: string | null; doc: Doc }>;
  type Timeline = { doc: Doc; past: readonly Step[]; future: readonly Step[] };

  // What is asked for
  /** Null for a random one; a string is what was typed and is no seed. */
  type Seed = number | null | string;
  type Size = `${NonNullable<Wire.DecomposeRequest["resolution"]>}` | "original";
  type Loras = Readonly<Record<string, number>>;
  type Sampling = { steps: number; cfgScale: number; speed: Speed };
  /** `engine` is the one beside the service's own where it was picked; null is the service's own. */
  type Settings = Sampling & {
    prompt: string;
    layerNum: number | "auto";
    size: Size;
    seed: Seed;
    engine: Wire.BesideResponse["engine"] | null;
    loras: Loras | null;
    /** With the picture that they are on. */
    things: { picture: string; boxes: readonly Thing[] } | null;
  };
  /** A box around what is to be a layer of its own, in pixels of the picture; without a name the engine gives one. */
  type Thing = Readonly<Box & { id: string; name: string }>;

  /** A layer's edit: the draft, and what became of what was asked for. */
  interface Edit extends Sampling {
    instruction: string;
    /** What of the layer may change; nothing for all of it. */
    region: readonly RegionMark[];
    /** What it takes something from, “Picture 2” and so on of the instruction. */
    references: readonly Reference[];
    /** Whether the model is shown what lies around the layer; null: what suits the document. */
    context: boolean | null;
    loras: Loras | null;
    shape: Shape;
    /** Of the run to come where it is locked, else of the last one. */
    seed: Seed;
    locked: boolean;
    /** Runs that are asked for together, each with a seed of its own. */
    variants: number;
    sending: boolean;
    chosen: Chosen;
    /** Indexes of versions that nobody has decided about. */
    waiting: readonly number[];
    /** What came to nothing, oldest first. */
    tries: readonly Try[];
  }
  /** What the modal shows: a version, a try or a job by its id, or the layer as it is. */
  type Chosen = number | string | null;
  /** By the id of its job, if there was one; `code` is which error it is, as the server names it, `hint` why an instruction was refused. */
  type Try = Readonly<{ id: string; status: "failed" | "canceled" | "unchanged"; reason: string; code: string; hint: Wire.Hint | null; instruction: string; shape: Shape; seed: number; region?: readonly RegionMark[]; references?: readonly Reference[]; context?: boolean }>;
  type Badge = "running" | "ready" | "failed";

  /** In which way two pictures are compared. */
  type How = "slider" | "blink" | "difference" | "side";
  type Versus = { how: How; where: "layer" | "picture" };

  // Jobs
  type Job = Wire.JobResponse;
  /** The work as `workOf` counts it. */
  type DecomposePurpose = { kind: "decompose"; picture: Picture; work?: number };
  type SplitPurpose = { kind: "split"; layerId: string };
  type EditPurpose = { kind: "edit"; layerId: string; before: string; instruction: string; shape: Shape; seed: number; region?: readonly RegionMark[]; references?: readonly Reference[]; context?: boolean };
  type Purpose = DecomposePurpose | SplitPurpose | EditPurpose;
  interface TrackedJob {
    job: Job;
    purpose: Purpose;
    canceling: boolean;
    /** When it last got on, in ms. */
    movedAt: number;
    /** Pictures of layers that are being made, by layer, 1 at the bottom. */
    previews: Record<number, string>;
  }

  // The server
  type Status = Wire.StatusResponse;
  type EngineState = Status["state"] | "unknown" | "unreachable";
  type Config = Wire.ConfigResponse;
  type ExportFormat = Wire.ExportRequest["format"];
  type TextForm = Wire.ExportRequest["text"];

  type Project = Pick<Wire.ProjectResponse, "id" | "name" | "version" | "thumbnail">;
  type FullProject = Wire.ProjectResponse;
  type ProjectSummary = Wire.SummaryResponse;

  // The state
  /** Of the stage: the layers, next to the original under a slider, the original, or what differs. */
  type Mode = "layers" | "slider" | "original" | "difference";
  type Reference = Readonly<{ name: string; image: string }>;
  /** What was drawn to say where a layer may change, in its pixels: the corners of a box, a line around it, or a stroke, each place as wide as the brush was; an object is what was pointed at with the address of its mask. */
  type RegionMark = Readonly<{ kind: "box" | "line" | "brush" | "object"; takesAway: boolean; places: readonly (Point & { width?: number })[]; mask?: string }>;
  /** What a pointer draws on the layer in the modal; `size` is that of the brush, as a share of the layer's longer side. */
  type Marking = Readonly<{ how: RegionMark["kind"]; takesAway: boolean; size: number; busy?: boolean }>;
  // The tools of the stage
  /** What was pointed at: a place, the corners of a box, or a line; `takesAway`: it is not wanted. */
  type Mark = Readonly<{ kind: "point" | "box" | "line"; takesAway: boolean; places: readonly Point[] }>;
  /** Select object; `how`: what a drag draws; `mask`: what was found, white as the server has it, and as alpha. */
  type Pointing = Readonly<{
    kind: "select";
    how: "box" | "line";
    takesAway: boolean;
    marks: readonly Mark[];
    busy: boolean;
    mask: { address: string; picture: HTMLCanvasElement } | null;
  }>;
  /** The brush: its width as a share of the picture's longer side, how much of it fades; `draft`: a layer as it is being painted. */
  type Painting = Readonly<{
    kind: "brush";
    takesAway: boolean;
    size: number;
    softness: number;
    draft: { id: string; picture: HTMLCanvasElement } | null;
  }>;
  /** A drag draws a box around a thing, which gets a name beside the picture. */
  type Naming = Readonly<{ kind: "things"; takesAway?: undefined }>;
  type Tool = Pointing | Painting | Naming;

  /** `share`: how much of the picture differs, where states are compared. */
  type Fidelity = { psnr: number; max: number; resampled: boolean; share?: number };
  type NoticeAction = { label: string; run: () => void };
  type Notice = { text: string; action: NoticeAction | null };

  /** What is not of the document. */
  interface ViewState {
    /** Null while there is none on the server. */
    project: Project | null;
    saving: "saved" | "unsaved" | "saving" | "failed";
    /** The project is on its way. */
    entering: boolean;
    /** Another tab has changed the project, and this one too. */
    conflict: boolean;
    /** Newest first; null while unknown. */
    projects: ProjectSummary[] | null;
    /** Those that can be brought back, the latest first; null while unknown. */
    deleted: ProjectSummary[] | null;
    /** All of this browser's, the newest first; null while unknown. */
    jobList: Job[] | null;
    jobsError: string | null;
    /** What became of the last run that ended while the page was hidden; null once the page was seen. */
    unseen: "done" | "failed" | null;
    /** As far as they were chosen; `settingsOf` has the others. */
    settings: Partial<Settings>;
    /** By layer. */
    edits: Record<string, Edit>;
    /** By job. */
    jobs: Record<string, TrackedJob>;
    /** Seconds per unit of work (`workOf`) of the last run, by engine. */
    speeds: Record<string, number>;
    /** Labels of groups. */
    folded: readonly string[];
    /** A layer, the main one where several are selected. */
    selected: string | null;
    /** The others. */
    also: readonly string[];
    /** The layer whose row is pointed at. */
    pointed: string | null;
    /** The label of the group that is selected; its topmost layer is `selected` then. */
    group: string | null;
    /** The layer in the modal. */
    editing: string | null;
    /** The layer whose place and size are to be shown. */
    placing: string | null;
    /** The history is shown in the place of the layers. */
    walking: boolean;
    /** States of the history that are marked, two at most: the stage compares them, or one with the current state. */
    compared: readonly Doc[];
    /** The stage shows what a run makes while it makes it. */
    previewing: boolean;
    versus: Versus;
    /** What draws on the layer in the modal, when that is not only looked at. */
    marking: Marking | null;
    mode: Mode;
    /** What the pointer does on the stage, when that is not to select and move layers. */
    tool: Tool | null;
    /** The box that is being named or moved. */
    thing: string | null;
    /** A picture or a file of layers on its way to the server. */
    upload: { name: string; preview: string | null } | null;
    /** A decompose request is on its way. */
    sending: boolean;
    sourceError: string | null;
    /** What is wrong with the boxes. */
    thingsError: string | null;
    stageError: string | null;
    status: Status | null;
    config: Config | null;
    reachable: boolean;
    /** Of the layers as decomposed. */
    fidelity: Fidelity | null;
    /** Of the stack as it is, while it is compared. */
    measured: Fidelity | null;
    /** The format on its way. */
    exporting: ExportFormat | null;
    notice: Notice | null;
    /** For screen readers alone. */
    spoken: string;
  }
  type State = Timeline & ViewState;
  /** Everything but the document, which only commands change. */
  type ViewPatch = Partial<ViewState>;

  // The modules
  type View = { element: HTMLElement; render: (state: State) => void };
  type Store = import("../static/js/state/store.js").Store;
  type Api = typeof import("../static/js/transport/api.js").api;
  type Bitmaps = ReturnType<typeof import("../static/js/images/bitmaps.js").createBitmaps>;
  type Levels = ReturnType<typeof import("../static/js/images/bitmaps.js").createLevels>;
  type Jobs = ReturnType<typeof import("../static/js/actions/jobs.js").createJobs>;
  type Travel = ReturnType<typeof import("../static/js/actions/start.js").createHistory>;
  type SavingWork = ReturnType<typeof import("../static/js/actions/saving.js").createSaving>;
  type Start = ReturnType<typeof import("../static/js/actions/start.js").createStart>;
  type StartActions = Start["actions"];
  type Actions = ReturnType<typeof import("../static/js/editor.js").createActions>;
  /** What every action has. */
  interface Context {
    store: Store;
    api: Api;
    bitmaps: Bitmaps;
    /** Do something, and say so when it fails. */
    tryTo: (work: () => Promise<unknown>) => Promise<unknown>;
    /** Fetch what is needed as soon as there is a picture. */
    prepareEditor: () => Promise<typeof import("../static/js/editor.js")>;
    /** Put it in the place of the start page. */
    loadEditor: () => Promise<unknown>;
  }

  /** The element that "tag.class.class" names. */
  type Built<S extends string> = S extends `${infer T extends keyof HTMLElementTagNameMap}.${string}`
    ? HTMLElementTagNameMap[T]
    : S extends keyof HTMLElementTagNameMap
      ? HTMLElementTagNameMap[S]
      : never;

  // Words and icons
  type Key = keyof typeof import("../static/i18n/en.json");
  type Values = Record<string, string | number>;
  type IconName = keyof typeof import("../static/js/icons.js").PATHS;
}

export {};
