const KEY = "llm-dit.theme";
export const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @typedef {typeof THEMES[number]} Theme */

/** The theme as boot.js set it before the first paint. @returns {Theme} */
export const themeOf = () => THEMES.find((theme) => theme === document.documentElement.dataset.theme) ?? "system";

/** @param {Theme} theme */
export function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
}
