// @ts-check
/**
 * The values that pass between modules. Pictures are addresses (`/api/images/….png`) of what the server holds.
 *
 * @typedef {{name: string, image: string, width: number, height: number}} Picture
 *
 * @typedef {object} Layer
 * @property {string} id            never reused, whatever happens to the layer
 * @property {string} name
 * @property {string} image
 * @property {number} width
 * @property {number} height
 * @property {number} coverage      mean alpha, 0–1
 * @property {number} opacity       0–1
 * @property {boolean} visible
 * @property {number} x             offset of the top left corner in pixels
 * @property {number} y
 * @property {number} version       1 as decomposed, one more with every accepted edit
 *
 * @typedef {object} Project        what undo and redo travel through
 * @property {Picture | null} picture
 * @property {Layer[]} layers       bottom to top
 * @property {number} width
 * @property {number} height
 * @property {string | null} composite   the server's own composite of the layers as decomposed
 * @property {number | null} seed
 * @property {string} prompt
 *
 * @typedef {{label: string, key: string | null, project: Project}} Step
 *
 * @typedef {number | null | string} Seed   null for a random one; a string is what was typed and is no seed
 *
 * @typedef {"640" | "1024" | "original"} Size
 * @typedef {{prompt: string, layerNum: number, size: Size, steps: number, cfgScale: number, seed: Seed}} Settings
 *
 * @typedef {object} Edit           a layer's edit: the draft, the job that runs, the result that waits for a decision
 * @property {string} instruction
 * @property {"keep" | "new"} shape
 * @property {number} steps
 * @property {number} cfgScale
 * @property {Seed} seed
 * @property {boolean} sending
 * @property {string | null} jobId
 * @property {EditResult | null} result
 * @property {string | null} error
 * @property {string} [errorCode]   which error it is, as the server names it
 *
 * @typedef {{image: string, before: string, instruction: string, shape?: "keep" | "new", seed: number, seconds: number}} EditResult
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
 * @typedef {{kind: "edit", layerId: string, before: string, instruction: string, shape?: "keep" | "new"}} EditPurpose
 * @typedef {DecomposePurpose | EditPurpose} Purpose
 * @typedef {{job: Job, purpose: Purpose, canceling: boolean}} TrackedJob
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
 * @typedef {{name: string, preview: string, error: string | null}} Upload
 * @typedef {"layers" | "original" | "difference"} Mode
 * @typedef {{psnr: number, max: number, resampled: boolean}} Fidelity
 * @typedef {{text: string, action: {label: string, run: () => void} | null}} Notice
 *
 * @typedef {object} State
 * @property {Project} project
 * @property {Step[]} past
 * @property {Step[]} future
 * @property {Settings} settings
 * @property {Record<string, Edit>} edits        by layer
 * @property {Record<string, TrackedJob>} jobs   by job
 * @property {Record<string, number>} speeds     seconds per unit of work (`workOf`) of the last run, by engine
 * @property {string | null} selected            a layer
 * @property {string | null} editing             the layer in the modal
 * @property {Mode} mode
 * @property {Upload | null} upload              a picture on its way to the server
 * @property {boolean} sending                   a decompose request is on its way
 * @property {string | null} sourceError
 * @property {string | null} stageError
 * @property {Status | null} status
 * @property {boolean} reachable
 * @property {Fidelity | null} fidelity
 * @property {string | null} exporting           the format on its way
 * @property {Notice | null} notice
 * @property {string} spoken                     for screen readers alone
 *
 * @typedef {{element: HTMLElement, render: (state: State) => void}} View
 * @typedef {import("./transport/api.js").Api} Api
 * @typedef {import("./state/store.js").Store} Store
 * @typedef {ReturnType<typeof import("./actions/actions.js").createActions>} Actions
 */
export {};
