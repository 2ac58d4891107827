import { createComparison } from "./comparison.js";
import { createDecompose, createSplit } from "./decompose.js";
import { createEdits } from "./edits.js";
import { createExports } from "./exports.js";
import { createLayers } from "./layers.js";
import { createTools } from "./tools.js";

/** Everything the page can do once there is a picture. @param {Context} context @param {Start} start */
export function createActions(context, { history, jobs, actions }) {
  const edits = createEdits(context, jobs, history);
  const decompose = createDecompose(context, jobs, history);
  const split = createSplit(context, jobs);
  jobs.onEnd({ decompose: decompose.finish, split: split.finish, edit: edits.finish });
  return {
    ...actions,
    ...createLayers(context, history),
    ...createTools(context, history),
    ...createComparison(context),
    ...createExports(context),
    ...decompose.actions,
    ...split.actions,
    ...edits.actions,
    cancelJob: jobs.cancel,
  };
}
