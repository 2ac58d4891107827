import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { canvas2d } from "../../images/pixels.js";
import { findLayer } from "../../state/doc.js";
import { LIMITS } from "../../state/initial.js";
import { roomFor } from "../../state/things.js";
import { iconButton, segmented, sliderField } from "../shell/fields.js";
import { fullWords } from "../source/things.js";

const [THINNEST, WIDEST] = LIMITS.brush;

/** The bars of the tools; that of the active one is shown. @param {Actions} actions */
export function createToolBars(actions) {
  const bars = { select: createPointingBar(actions), brush: createPaintingBar(actions), things: createNamingBar(actions) };
  return {
    elements: Object.values(bars).map(({ element }) => element),
    /** @param {State} state */
    render: (state) => {
      const { tool, doc, selected } = state;
      for (const [kind, { element }] of Object.entries(bars)) element.hidden = tool?.kind !== kind;
      if (tool?.kind === "select") bars.select.render(tool);
      if (tool?.kind === "brush") bars.brush.render(tool, findLayer(doc, selected));
      if (tool?.kind === "things") bars.things.render(state);
    },
  };
}

/** @param {Actions} actions */
function createPointingBar(actions) {
  const how = segmented({
    label: t("select.how"),
    options: /** @type {["box" | "line", string][]} */ ([
      ["box", t("select.box")],
      ["line", t("select.line")],
    ]),
    onpick: (value) => actions.setTool({ how: value }),
  });
  const way = createWay(t("select.adds"), t("select.takesAway"), (takesAway) => actions.setTool({ takesAway }));
  const make = h("button.button.primary.small", { onclick: actions.makeLayer }, t("select.make"));
  const close = iconButton("close", t("select.close"), actions.putToolDown);
  const hint = h("p.mode-hint", { role: "status" });
  return {
    element: h("div.tool", h("div.tool-line", how.element, way.element, make, close), hint),
    /** @param {Pointing} tool */
    render: ({ how: chosen, takesAway, marks, busy, mask }) => {
      how.set(chosen);
      way.set(takesAway);
      make.disabled = busy || mask === null;
      const found =
        mask !== null
          ? byFinger("select.more", "select.moreTouch")
          : marks.length > 0
            ? "select.nothing"
            : chosen === "box"
              ? "select.hintBox"
              : "select.hintLine";
      setText(hint, t(busy ? "select.looking" : found));
    },
  };
}

/** @param {Actions} actions */
function createPaintingBar(actions) {
  const way = createWay(t("brush.reveals"), t("brush.erases"), (takesAway) => actions.setTool({ takesAway }));
  const size = sliderField({ label: t("brush.size"), step: 1, oninput: (value) => actions.setTool({ size: sizeAt(value) }) });
  const softness = sliderField({ label: t("brush.softness"), step: 1, oninput: (value) => actions.setTool({ softness: value / 100 }) });
  const close = h("button.button.small", { onclick: actions.putToolDown }, t("brush.done"));
  const hint = h("p.mode-hint");
  return {
    element: h("div.tool", h("div.tool-line", way.element, size.element, softness.element, close), hint),
    /** @param {Painting} tool @param {Layer | null} layer */
    render: (tool, layer) => {
      way.set(tool.takesAway);
      size.set(sliderAt(tool.size), [0, 100]);
      softness.set(Math.round(tool.softness * 100), [0, 100]);
      const words =
        layer === null
          ? t("brush.needsLayer")
          : layer.visible
            ? t(byFinger("brush.hint", "brush.hintTouch"), { name: layer.name })
            : t("brush.hidden", { name: layer.name });
      setText(hint, words);
    },
  };
}

/** @param {Actions} actions */
function createNamingBar(actions) {
  const close = h("button.button.small", { onclick: actions.putToolDown }, t("brush.done"));
  const hint = h("p.mode-hint", { role: "status" });
  return {
    element: h("div.tool", h("div.tool-line", h("strong", t("things.title")), close), hint),
    render: (/** @type {State} */ state) => setText(hint, roomFor(state) > 0 ? t("things.drawHint") : fullWords(state)),
  };
}

/** Text for devices with a keyboard, or for touch. @template T @param {T} keys @param {T} touch */
export const byFinger = (keys, touch) => (matchMedia("(pointer: coarse)").matches ? touch : keys);

/** @param {number} value   of the slider, 0–100: small brushes get as much of it as large ones */
export const sizeAt = (value) => THINNEST * (WIDEST / THINNEST) ** (value / 100);

/** @param {number} size @returns {number}   the slider's value for it */
export const sliderAt = (size) => Math.round((100 * Math.log(size / THINNEST)) / Math.log(WIDEST / THINNEST));

/** The choice of adding or subtracting. @param {string} adds @param {string} takesAway @param {(takesAway: boolean) => void} onpick */
export function createWay(adds, takesAway, onpick) {
  const options = /** @type {["adds" | "takesAway", string][]} */ ([
    ["adds", adds],
    ["takesAway", takesAway],
  ]);
  const choice = segmented({ label: t("select.way"), options, onpick: (value) => onpick(value === "takesAway") });
  return { element: choice.element, set: (/** @type {boolean} */ away) => choice.set(away ? "takesAway" : "adds") };
}

/** Overlays on the picture, in pixels of the screen. */

const sheet = canvas2d(1, 1);

/** Dim everything but the selection, and outline that in black and white. @param {CanvasRenderingContext2D} context @param {HTMLCanvasElement} mask @param {Extent} doc @param {Camera} camera */
export function drawMask(context, mask, { width, height }, { scale, x, y }) {
  const ratio = devicePixelRatio;
  const lay = (/** @type {CanvasRenderingContext2D} */ on, /** @type {number} */ dx, /** @type {number} */ dy) =>
    on.drawImage(mask, x + dx, y + dy, width * scale, height * scale);
  context.save();
  context.fillStyle = "rgb(12 10 30 / 55%)";
  context.fillRect(x, y, width * scale, height * scale);
  context.globalCompositeOperation = "destination-out";
  lay(context, 0, 0);
  context.restore();
  for (const [reach, color] of /** @type {[number, string][]} */ ([
    [2.2 * ratio, "#17171c"],
    [1.2 * ratio, "#fff"],
  ])) {
    Object.assign(sheet.canvas, { width: context.canvas.width, height: context.canvas.height });
    for (let turn = 0; turn < 8; turn += 1) lay(sheet, reach * Math.cos((turn * Math.PI) / 4), reach * Math.sin((turn * Math.PI) / 4));
    sheet.globalCompositeOperation = "source-in";
    sheet.fillStyle = color;
    sheet.fillRect(0, 0, sheet.canvas.width, sheet.canvas.height);
    sheet.globalCompositeOperation = "destination-out";
    lay(sheet, 0, 0);
    context.drawImage(sheet.canvas, 0, 0);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Mark} mark @param {Camera} camera */
export function drawMark(context, { kind, takesAway, places }, { scale, x, y }) {
  const ratio = devicePixelRatio;
  const at = places.map((place) => ({ x: place.x * scale + x, y: place.y * scale + y }));
  context.beginPath();
  if (kind === "box") context.rect(at[0].x, at[0].y, at[1].x - at[0].x, at[1].y - at[0].y);
  else if (kind === "line") for (const place of at) context.lineTo(place.x, place.y);
  else context.arc(at[0].x, at[0].y, 5 * ratio, 0, 2 * Math.PI);
  const color = takesAway ? "#ff6b5f" : "#8f89ff";
  context.setLineDash(kind === "box" ? [6 * ratio, 4 * ratio] : []);
  outline(context, kind === "point" ? "#fff" : color, ratio);
  if (kind !== "point") return;
  context.fillStyle = color;
  context.fill();
}

/** @param {CanvasRenderingContext2D} context @param {Point | null} at @param {number} size @param {Camera} camera */
export function drawRing(context, at, size, { scale, x, y }) {
  if (at === null) return;
  context.beginPath();
  context.arc(at.x * scale + x, at.y * scale + y, (size / 2) * scale, 0, 2 * Math.PI);
  context.setLineDash([]);
  outline(context, "#fff", devicePixelRatio);
}

/** Boxes with their numbers and names, the picked one on top. @param {CanvasRenderingContext2D} context @param {readonly Thing[]} things @param {string | null} picked @param {Doc} doc @param {Camera} camera */
export function drawThings(context, things, picked, { picture, width, height }, { scale, x, y }) {
  if (picture === null) return;
  const ratio = devicePixelRatio;
  const [across, down] = [(scale * width) / picture.width, (scale * height) / picture.height];
  const numbered = things.map((thing, index) => ({ ...thing, index }));
  for (const box of numbered.sort((a, b) => Number(a.id === picked) - Number(b.id === picked))) {
    const [color, ground, ink] = box.id === picked ? ["#8f89ff", "#8f89ff", "#12102b"] : ["#fff", "rgb(18 18 24 / 80%)", "#fff"];
    const [left, top] = [x + box.x * across, y + box.y * down];
    context.beginPath();
    context.rect(left, top, box.width * across, box.height * down);
    context.setLineDash(box.id === picked ? [] : [6 * ratio, 4 * ratio]);
    if (box.id === picked)
      for (const corner of [0, 1, 2, 3]) {
        const [right, bottom] = [left + (corner % 2) * box.width * across, top + (corner >> 1) * box.height * down];
        context.rect(right - CORNER * ratio, bottom - CORNER * ratio, 2 * CORNER * ratio, 2 * CORNER * ratio);
      }
    outline(context, color, ratio);
    drawTag(context, `${box.index + 1} ${box.name}`.trim(), { x: left, y: top }, ground, ink);
  }
}

const TAG_PX = 20;
/** Half of a corner's side, in CSS pixels. */
const CORNER = 4;

/** A label above a point, kept within the canvas. @param {CanvasRenderingContext2D} context @param {string} words @param {Point} at @param {string} ground @param {string} ink */
function drawTag(context, words, { x, y }, ground, ink) {
  const { canvas } = context;
  const ratio = devicePixelRatio;
  const [room, tall, pad] = [canvas.width * 0.7, TAG_PX * ratio, 6 * ratio];
  context.font = `600 ${12 * ratio}px ${getComputedStyle(canvas).fontFamily}`;
  let shown = words;
  while (context.measureText(shown).width > room) shown = `${shown.slice(0, -2)}…`;
  const wide = context.measureText(shown).width + 2 * pad;
  const left = Math.max(0, Math.min(x, canvas.width - wide));
  const top = Math.max(0, Math.min(y - tall, canvas.height - tall));
  context.fillStyle = ground;
  context.fillRect(left, top, wide, tall);
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(shown, left + pad, top + tall / 2);
}

/** A path that is visible on light and dark backgrounds. @param {CanvasRenderingContext2D} context @param {string} color @param {number} ratio */
export function outline(context, color, ratio) {
  context.lineWidth = 3.5 * ratio;
  context.strokeStyle = "rgb(12 10 30 / 70%)";
  context.stroke();
  context.lineWidth = 1.5 * ratio;
  context.strokeStyle = color;
  context.stroke();
}
