/** How things stand with the engine, as far as the page knows. @param {Status | null} status @param {boolean} reachable @returns {EngineState} */
export function engineState(status, reachable) {
  if (!reachable) return "unreachable";
  return status?.state ?? "unknown";
}

/** The engine's name without the device. @param {Status} status */
export const engineName = (status) => status.engine_label.split(" · ")[0];
