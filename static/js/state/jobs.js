/** The jobs of a kind that are queued or at work; those about one layer, when it is named. @param {State} state @param {Purpose["kind"]} kind @param {string} [layerId] */
export const atWork = ({ jobs }, kind, layerId) =>
  Object.values(jobs).filter(({ purpose }) => purpose.kind === kind && (layerId === undefined || (purpose.kind !== "decompose" && purpose.layerId === layerId)));

/** Whether the picture is being taken apart, or is about to be. @param {State} state */
export const isDecomposing = (state) => state.sending || atWork(state, "decompose").length > 0;
