// @ts-check
import { createClipboard } from "./clipboard.js";
import { createComparison } from "./comparison.js";
import { createDecompose } from "./decompose.js";
import { createEdits } from "./edits.js";
import { createExports } from "./exports.js";
import { createJobs } from "./jobs.js";
import { createLayers } from "./layers.js";
import { createPicture } from "./picture.js";
import { createProjects } from "./projects.js";
import { createSaving } from "./saving.js";
import { createService } from "./service.js";
import { createSplit } from "./split.js";

/**
 * Everything the page can do. An action may call the server; it ends in `store.run` or `store.update`, and the views
 * follow.
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
  const split = createSplit(context, jobs);
  const saving = createSaving(context);
  const projects = createProjects(context, saving, jobs);
  jobs.onEnd({ decompose: decompose.finish, split: split.finish, edit: edits.finish });
  return {
    ...createService(context),
    ...createPicture(context, projects),
    ...createLayers(context),
    ...createComparison(context),
    ...createExports(context),
    ...createClipboard(context),
    ...decompose.actions,
    ...split.actions,
    ...edits.actions,
    ...projects.actions,
    keepOwn: projects.keepOwn,
    cancelJob: jobs.cancel,
    wakeJobs: jobs.wake,
    dismissNotice: () => store.update({ notice: null }),
  };
}
