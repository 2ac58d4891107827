// A classic script, so that it runs before the first paint: neither the stored theme nor the language may flash.
{
  /** @param {string} key */
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // Storage is blocked: the system's choices apply.
    }
  };
  const root = document.documentElement;
  root.dataset.theme = stored("llm-dit.theme") || "system";
  const wanted = [stored("llm-dit.language"), ...navigator.languages].filter((tag) => tag !== null);
  root.lang = wanted.map((tag) => (/^zh\b/i.test(tag) ? "zh-Hans" : /^en\b/i.test(tag) ? "en" : "")).find(Boolean) || "en";
  // The words are needed before anything can be shown, so they are preloaded with the modules.
  const words = document.createElement("link");
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const href = new URL(`../i18n/${root.lang}.json`, script.src).href;
  Object.assign(words, { rel: "preload", as: "fetch", crossOrigin: "anonymous", href });
  document.head.append(words);
}
