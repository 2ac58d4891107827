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
export const used = (fields, takes) => /** @type {Partial<T>} */ (Object.fromEntries(Object.entries(fields).filter(([name]) => takes.includes(name))));
