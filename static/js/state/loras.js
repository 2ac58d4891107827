/** LoRAs of a run, by name with their weights; one with 0 is off. Null is as the server's configuration has them. */

/** Those that the server lists for a kind of run, with the weights that were chosen. @param {readonly Wire.LoraResponse[]} listed @param {Loras | null} chosen @returns {Loras} */
export const lorasOf = (listed, chosen) => Object.fromEntries(listed.map(({ name, weight }) => [name, chosen?.[name] ?? weight]));

/** The field of a request, which names those that are on; nothing where the server lists none, or as it has them. @param {readonly Wire.LoraResponse[]} listed @param {Loras | null} chosen */
export function loraField(listed, chosen) {
  if (chosen === null || listed.length === 0) return {};
  const on = Object.entries(lorasOf(listed, chosen)).filter(([, weight]) => weight !== 0);
  return { loras: on.map(([name, weight]) => `${name}:${weight}`) };
}

/** What a recipe had on, of those that the server lists. @param {readonly Wire.LoraResponse[]} listed @param {readonly string[]} told   as "NAME" or "NAME:WEIGHT" @returns {Loras} */
export function lorasIn(listed, told) {
  const weights = new Map(told.map((text) => /** @type {[string, number]} */ ([text.split(":")[0], Number(text.split(":")[1] ?? 1)])));
  return Object.fromEntries(listed.map(({ name }) => [name, weights.get(name) ?? 0]));
}
