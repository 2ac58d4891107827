const SVG = "http://www.w3.org/2000/svg";

/** Our own strokes on a 24 × 24 grid. */
export const PATHS = {
  logo: ["M12 3 21 8 12 13 3 8z", "m3 12 9 5 9-5", "m3 16 9 5 9-5"],
  undo: ["M8 5 4 9l4 4", "M4 9h10a6 6 0 0 1 0 12h-3"],
  redo: ["m16 5 4 4-4 4", "M20 9H10a6 6 0 0 0 0 12h3"],
  help: ["M9.2 9.2a2.9 2.9 0 1 1 4.1 2.7c-.9.5-1.3 1.1-1.3 2.1", "M12 17.4v.1", "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18z"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z", "M12 9.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z"],
  eyeOff: [
    "M4 4l16 16",
    "M9.9 5.8A9 9 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a17 17 0 0 1-2.6 3.4M6.3 7.3A16 16 0 0 0 2.5 12S6 18.5 12 18.5a9 9 0 0 0 4.8-1.4",
  ],
  up: ["M12 19V5", "m6 11 6-6 6 6"],
  down: ["M12 5v14", "m6 13 6 6 6-6"],
  grip: ["M9 6v.1M15 6v.1M9 12v.1M15 12v.1M9 18v.1M15 18v.1"],
  close: ["M6 6l12 12M18 6 6 18"],
  chevron: ["m9 6 6 6-6 6"],
  picture: ["M4 5h16v14H4z", "m4 16 5-5 4 4 3-3 4 4", "M15.5 8.8v.1"],
  camera: ["M4 8h3.5L9 5.5h6L16.5 8H20v11H4z", "M12 10a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4z"],
  warning: ["M12 4 21.5 20h-19z", "M12 10v4.5", "M12 17.3v.1"],
  download: ["M12 4v11", "m7 10.5 5 5 5-5", "M4 20h16"],
  pencil: ["M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19z"],
  compare: ["M9 8 5 12l4 4", "m15 8 4 4-4 4"],
  minus: ["M6 12h12"],
  caret: ["m6 9.5 6 6 6-6"],
  more: ["M5.9 12h.2M11.9 12h.2M17.9 12h.2"],
  check: ["m5 12.5 4.5 4.5L19 7.5"],
  duplicate: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  trash: ["M4.5 7h15", "M9.5 7V4.5h5V7", "m6.5 7 .9 13h9.2l.9-13", "M10.5 11v5M13.5 11v5"],
  split: ["M12 3v5m0 0-6 5v7m6-12 6 5v7", "m3.5 17.5 2.5 2.5 2.5-2.5M15.5 17.5 18 20l2.5-2.5"],
  merge: ["M12 21v-8m0 0L6 8V4m6 9 6-5V4", "m9.5 18.5 2.5 2.5 2.5-2.5"],
  copy: ["M8 5h8v3H8z", "M8 6.5H5V21h14V6.5h-3"],
  flipX: ["M12 3v18", "M9 7 3.5 17H9z", "M15 7l5.5 10H15z"],
  flipY: ["M3 12h18", "M7 9 17 3.5V9z", "M7 15l10 5.5V15z"],
  left: ["M4 3v18", "M8 6h12v4H8zM8 14h7v4H8z"],
  center: ["M12 3v3m0 4v4m0 4v3", "M5 6h14v4H5zM8 14h8v4H8z"],
  right: ["M20 3v18", "M4 6h12v4H4zM9 14h7v4H9z"],
  top: ["M3 4h18", "M6 8h4v12H6zM14 8h4v7h-4z"],
  middle: ["M3 12h3m4 0h4m4 0h3", "M6 5h4v14H6zM14 8h4v8h-4z"],
  bottom: ["M3 20h18", "M6 4h4v12H6zM14 9h4v7h-4z"],
  spreadX: ["M4 4v16M20 4v16", "M10 7h4v10h-4z"],
  spreadY: ["M4 4h16M4 20h16", "M7 10h10v4H7z"],
  reset: ["M4 5v5h5", "M4.5 10a8 8 0 1 1-.4 4"],
  folder: ["M3.5 6h6l2 2.5h9V19h-17z"],
  folderOpen: ["M3.5 19V6h6l2 2.5h7V11", "M3.5 19 6 11h15.5L19 19z"],
  upload: ["M12 16V5", "m7 9.5 5-5 5 5", "M4 20h16"],
  jobs: ["M4 6h16M4 12h9M4 18h6", "m14.5 17 2.3 2.3 4.2-5"],
  share: ["M12 15V4", "m7.5 8 4.5-4.5L16.5 8", "M8 11H5v9.5h14V11h-3"],
  settings: [
    "M4 7h9m5 0h2M4 17h2m5 0h9",
    "M15.5 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
    "M8.5 14.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
  ],
  lock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 7 0v3"],
  unlock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 6.8-1.2"],
  history: ["M4 5v4.5h4.5", "M4.4 9.5a8 8 0 1 1-.3 4", "M12 8v4.5l3 2"],
  select: ["M4 8V4h4M12 4h3.5M20 8V4.5h-1M4 12v3.5M4.5 20H8", "m11.5 11.5 9 3.7-3.9 1.4-1.4 3.9z"],
  brush: [
    "M20 4c-4.5 2-8.5 6-10 9l1.5 1.5c3-1.5 7-5.5 9-10z",
    "M9.5 13.5c-2 0-3.4 1.3-3.4 3.2 0 1.4-.8 2.3-2.1 2.3 2 1.6 7.3 1.3 7.3-3.1z",
  ],
  plus: ["M12 6v12M6 12h12"],
};

/** @param {IconName} name @returns {SVGSVGElement} */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  setIcon(svg, name);
  return svg;
}

/** @param {SVGSVGElement} svg @param {IconName} name */
export function setIcon(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.replaceChildren(
    ...PATHS[name].map((d) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      return path;
    }),
  );
}
