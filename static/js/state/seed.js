import { LIMITS } from "./initial.js";

/** What was typed as a seed: a whole number, nothing for a random one, or the text itself when it is neither. @param {string} text @returns {Seed} */
export function seedFrom(text) {
  const typed = text.trim();
  if (typed === "") return null;
  return /^\d+$/.test(typed) && Number(typed) <= LIMITS.maxSeed ? Number(typed) : text;
}

/** @param {Seed} seed @returns {seed is number | null} */
export const isSeed = (seed) => typeof seed !== "string";
