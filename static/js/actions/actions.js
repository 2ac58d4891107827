// @ts-check
import { createDecompose } from "./decompose.js";
import { createEdits } from "./edits.js";
import { createExports } from "./exports.js";
import { createJobs } from "./jobs.js";
import { createLayers } from "./layers.js";
import { createPicture } from "./picture.js";
import { createService } from "./service.js";

/**
 * Everything the page can do. An action may call the server; it ends in `store.update`, and the views follow.
 *
 * @typedef {object} Context
 * @property {import("../types.js").Store} store
 * @property {import("../types.js").Api} api
 * @property {import("../images/bitmaps.js").Bitmaps} bitmaps
 *
 * @param {Context} context
 */
export function createActions(context) {
  const { store } = context;
  const jobs = createJobs(context);
  const edits = createEdits(context, jobs);
  const decompose = createDecompose(context, jobs);
  jobs.onEnd({ decompose: decompose.finish, edit: edits.finish });
  return {
    ...createService(context),
    ...createPicture(context),
    ...createLayers(context),
    ...createExports(context),
    ...decompose.actions,
    ...edits.actions,
    cancelJob: jobs.cancel,
    resumeJobs: jobs.resume,
    /** @param {import("../types.js").Mode} mode */
    show: (mode) => store.update({ mode }),
    dismissNotice: () => store.update({ notice: null }),
  };
}
