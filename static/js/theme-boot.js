// A classic script, so that it runs before the first paint: the stored theme must not flash.
try {
  document.documentElement.dataset.theme = localStorage.getItem("llm-dit.theme") || "system";
} catch {
  // Storage is blocked: the system's theme applies.
}
