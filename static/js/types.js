// @ts-check
/**
 * The values that pass between modules. Pictures are addresses (`/api/images/….png`) of what the server holds.
 *
 * @typedef {{name: string, image: string, width: number, height: number}} Picture
 *
 * @typedef {object} Version        one picture that a layer has had; versions are added and never taken away
 * @property {string} image
 * @property {number} coverage      mean alpha, 0–1
 * @property {string} instruction   what made it of the one before; "" for the first
 * @property {number | null} seed
 * @property {"keep" | "new" | null} shape
 * @property {string} engine
 * @property {string | null} at     ISO 8601; null for the first
 * @property {string | null} from   the picture that it was made of
 * @property {number | null} seconds   how long that took
 *
 * @typedef {"normal" | "multiply" | "screen" | "overlay" | "darken" | "lighten" | "color-dodge" | "color-burn" | "hard-light"
 *   | "soft-light" | "difference" | "exclusion" | "hue" | "saturation" | "color" | "luminosity"} Blend
 *
 * @typedef {object} LayerFields
 * @property {string} id            never reused, whatever happens to the layer
 * @property {string} name
 * @property {string} image         of the current version
 * @property {number} width         of the picture in its own pixels
 * @property {number} height
 * @property {number} coverage      of the current version
 * @property {number} x             offset of the top left corner in pixels of the document
 * @property {number} y
 * @property {number} scale         about that corner
 * @property {boolean} flipX        mirrored within its own box
 * @property {boolean} flipY
 * @property {number} opacity       0–1
 * @property {boolean} visible
 * @property {Blend} blend
 * @property {string} group         the name of its group, "" for none
 * @property {readonly Version[]} versions
 * @property {number} current       index of the version that is shown
 * @property {readonly number[]} discarded   indexes of versions that are not offered any more
 * @typedef {Readonly<LayerFields>} Layer
 *
 * @typedef {object} DocFields      what undo and redo travel through
 * @property {Picture | null} picture
 * @property {readonly Layer[]} layers   bottom to top
 * @property {number} width
 * @property {number} height
 * @property {string | null} composite   the server's own composite of the layers as decomposed
 * @property {readonly string[]} made    the layers as decomposed, bottom to top
 * @property {number | null} seed
 * @property {string} prompt
 * @typedef {Readonly<DocFields>} Doc
 *
 * @typedef {object} Command
 * @property {import("./i18n.js").Key} title
 * @property {import("./i18n.js").Values} about   the values of the title
 * @property {string | null} gesture              commands in a row with the same one are one step
 * @property {(doc: Doc) => Doc} apply            the same document when there is nothing to change
 *
 * @typedef {Readonly<{title: import("./i18n.js").Key, about: import("./i18n.js").Values, gesture: string | null, doc: Doc}>} Step
 * @typedef {{doc: Doc, past: readonly Step[], future: readonly Step[]}} Timeline
 *
 * @typedef {number | null | string} Seed   null for a random one; a string is what was typed and is no seed
 *
 * @typedef {"640" | "1024" | "original"} Size
 * @typedef {{prompt: string, layerNum: number, size: Size, steps: number, cfgScale: number, seed: Seed}} Settings
 *
 * @typedef {object} Edit           a layer's edit: the draft, and what became of what was asked for
 * @property {string} instruction
 * @property {"keep" | "new"} shape
 * @property {number} steps
 * @property {number} cfgScale
 * @property {Seed} seed            of the run to come where it is locked, else of the last one
 * @property {boolean} locked
 * @property {number} variants      runs that are asked for together, each with a seed of its own
 * @property {boolean} sending
 * @property {Chosen} chosen
 * @property {readonly number[]} waiting   indexes of versions that nobody has decided about
 * @property {readonly Try[]} tries        what came to nothing, oldest first
 *
 * @typedef {number | string | null} Chosen   what the modal shows: a version, a try or a job by its id, or the layer as it is
 *
 * @typedef {object} TryFields
 * @property {string} id            of the job, if there was one
 * @property {"failed" | "canceled"} status
 * @property {string} reason
 * @property {string} code          which error it is, as the server names it
 * @property {string} instruction
 * @property {"keep" | "new"} shape
 * @property {number} seed
 * @typedef {Readonly<TryFields>} Try
 *
 * @typedef {"slider" | "blink" | "difference" | "side"} How   in which way two versions are compared
 * @typedef {{how: How, where: "layer" | "picture"}} Versus
 *
 * @typedef {"queued" | "processing" | "succeeded" | "failed" | "canceled"} JobStatus
 *
 * @typedef {object} Job            a job as the server describes it
 * @property {string} id
 * @property {"decompose" | "edit"} kind
 * @property {JobStatus} status
 * @property {string | null} phase
 * @property {number} step
 * @property {number} total
 * @property {number | null} eta_s
 * @property {number | null} position
 * @property {any} [result]
 * @property {{message: string, code: string} | null} [error]
 *
 * @typedef {{kind: "decompose", picture: Picture, work?: number}} DecomposePurpose   the work as `workOf` counts it
 * @typedef {{kind: "split", layerId: string}} SplitPurpose
 * @typedef {{kind: "edit", layerId: string, before: string, instruction: string, shape: "keep" | "new", seed: number}} EditPurpose
 * @typedef {DecomposePurpose | SplitPurpose | EditPurpose} Purpose
 * @typedef {object} TrackedJob
 * @property {Job} job
 * @property {Purpose} purpose
 * @property {boolean} canceling
 * @property {number} movedAt                   when it last got on, in ms
 * @property {Record<number, string>} previews  pictures of layers that are being made, by layer, 1 at the bottom
 *
 * @typedef {object} Status
 * @property {string} engine
 * @property {string} engine_label
 * @property {string} device
 * @property {"loading" | "ready" | "failed"} state
 * @property {string | null} error       why the engine cannot run
 * @property {string[]} loaded_models
 * @property {string} placement
 * @property {string} reason             why this engine runs
 * @property {boolean} edit_available
 * @property {string | null} hint
 * @property {{length: number, running: number}} queue
 *
 * @typedef {{limits: {export_formats: string[]}}} Config
 *
 * @typedef {{id: string, name: string, version: number, thumbnail: string | null}} Project   on the server
 * @typedef {Project & {created_at: number, updated_at: number, layer_count: number}} ProjectSummary
 * @typedef {"saved" | "unsaved" | "saving" | "failed"} Saving
 *
 * @typedef {{name: string, preview: string, error: string | null}} Upload
 * @typedef {"layers" | "original" | "difference"} Mode
 * @typedef {{psnr: number, max: number, resampled: boolean}} Fidelity
 * @typedef {{text: string, action: {label: string, run: () => void} | null}} Notice
 *
 * @typedef {object} ViewState      what is not of the document
 * @property {Project | null} project            null while there is none on the server
 * @property {Saving} saving
 * @property {boolean} entering                 the project is on its way
 * @property {boolean} conflict                  another tab has changed the project, and this one too
 * @property {ProjectSummary[] | null} projects  newest first; null while unknown, or where the server keeps none
 * @property {Settings} settings
 * @property {Record<string, Edit>} edits        by layer
 * @property {Record<string, TrackedJob>} jobs   by job
 * @property {Record<string, number>} speeds     seconds per unit of work (`workOf`) of the last run, by engine
 * @property {readonly string[]} folded          names of groups
 * @property {string | null} selected            a layer
 * @property {string | null} editing             the layer in the modal
 * @property {Versus} versus
 * @property {Mode} mode
 * @property {Upload | null} upload              a picture on its way to the server
 * @property {boolean} sending                   a decompose request is on its way
 * @property {string | null} sourceError
 * @property {string | null} stageError
 * @property {Status | null} status
 * @property {Config | null} config
 * @property {boolean} reachable
 * @property {Fidelity | null} fidelity         of the layers as decomposed
 * @property {Fidelity | null} measured         of the stack as it is, while it is compared
 * @property {string | null} exporting           the format on its way
 * @property {Notice | null} notice
 * @property {string} spoken                     for screen readers alone
 *
 * @typedef {Timeline & ViewState} State
 * @typedef {{element: HTMLElement, render: (state: State) => void}} View
 * @typedef {import("./transport/api.js").Api} Api
 * @typedef {import("./state/store.js").Store} Store
 * @typedef {import("./actions/start.js").Start["actions"]} StartActions
 * @typedef {ReturnType<typeof import("./actions/actions.js").createActions>} Actions
 */
export {};
