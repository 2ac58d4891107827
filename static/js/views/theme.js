// @ts-check
const KEY = "llm-dit.theme";
const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @typedef {typeof THEMES[number]} Theme */

/** The theme as theme-boot.js set it before the first paint. @returns {Theme} */
export function themeOf() {
  return THEMES.find((theme) => theme === document.documentElement.dataset.theme) ?? "system";
}

/** Go on to the next theme and remember it. @returns {Theme} */
export function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(themeOf()) + 1) % THEMES.length];
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
  return theme;
}
