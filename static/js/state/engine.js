/** How things stand with the engine, as far as the page knows. @param {Status | null} status @param {boolean} reachable @returns {EngineState} */
export function engineState(status, reachable) {
  if (!reachable) return "unreachable";
  return status?.state ?? "unknown";
}

/** @type {Config["capabilities"]} */
const UNKNOWN = { decompose: [], edit: [], any_instruction: false, any_size: true };

/** What the engine makes use of. @param {Pick<State, "config">} state */
export const capabilitiesOf = ({ config }) => config?.capabilities ?? UNKNOWN;

/** Those of some fields that the engine makes use of. @template {object} T @param {T} fields @param {readonly string[]} takes @returns {Partial<T>} */
export const used = (fields, takes) =>
  /** @type {Partial<T>} */ (Object.fromEntries(Object.entries(fields).filter(([name]) => takes.includes(name))));

/** The jobs of a kind that are queued or at work; those about one layer, when it is named. @param {State} state @param {Purpose["kind"]} kind @param {string} [layerId] */
export const atWork = ({ jobs }, kind, layerId) =>
  Object.values(jobs).filter(
    ({ purpose }) => purpose.kind === kind && (layerId === undefined || (purpose.kind !== "decompose" && purpose.layerId === layerId)),
  );

/** Whether the picture is being taken apart, or is about to be. @param {State} state */
export const isDecomposing = (state) => state.sending || atWork(state, "decompose").length > 0;
