import { h, setAttribute, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { canvas2d } from "../../images/pixels.js";
import { findLayer } from "../../state/doc.js";
import { iconButton, segmented, sliderField } from "../shell/fields.js";
import { fitCanvas } from "./viewport.js";

/** How wide the brush may be, in shares of the picture's longer side. */
export const SIZES = [0.004, 0.3];

/**
 * The tools of the stage: their buttons, the bar of the one in hand, what a pointer does with it, and what it shows over
 * the picture. A drag of Select object draws a box or a line, a click points; with Alt what it is on is taken away.
 *
 * @param {Actions} actions
 * @param {{readonly camera: Camera, readonly sharp: Camera, schedule: () => void}} viewport
 */
export function createStageTools(actions, viewport) {
  /** @type {State | null} */
  let state = null;
  /** @type {Mark | null} what is being drawn */
  let drawing = null;
  /** @type {Point | null} where the brush is, in pixels of the picture */
  let hover = null;
  const veil = h("canvas.stage-veil", { "aria-hidden": "true" });
  const context = /** @type {CanvasRenderingContext2D} */ (veil.getContext("2d"));
  const selects = iconButton("select", t("select.title"), () => actions.takeTool("select"));
  const brushes = iconButton("brush", t("brush.title"), () => actions.takeTool("brush"));
  const pointing = createPointingBar(actions);
  const painting = createPaintingBar(actions);
  const element = h("div.tool-bar", { role: "group", hidden: true }, pointing.element, painting.element);

  /** @param {Point} point @returns {Point}   in pixels of the picture */
  function toPicture({ x, y }) {
    const { camera } = viewport;
    return { x: (x - camera.x) / camera.scale, y: (y - camera.y) / camera.scale };
  }

  /** @param {PointerEvent} event @param {Tool} tool */
  const isOther = (event, tool) => (event.altKey || event.button === 2) !== tool.takesAway;

  /** @param {Point} start @param {PointerEvent} down @param {Pointing} tool @returns {import("./gestures.js").Drag} */
  function draw(start, down, tool) {
    const takesAway = isOther(down, tool);
    const kind = takesAway ? "line" : tool.how;
    const first = toPicture(start);
    return {
      drag: (by) => {
        const now = toPicture({ x: start.x + by.x, y: start.y + by.y });
        const places = kind === "box" ? [first, now] : [...(drawing?.places ?? [first]), now];
        drawing = { kind, takesAway, places };
        viewport.schedule();
      },
      end: () => {
        const mark = drawing;
        drawing = null;
        if (mark !== null) actions.point(mark);
      },
      cancel: () => {
        drawing = null;
        viewport.schedule();
      },
    };
  }

  /** @param {Point} start @param {PointerEvent} down @returns {import("./gestures.js").Drag | null} */
  function paint(start, down) {
    const stroke = actions.stroke(down.altKey);
    if (stroke === null) return null;
    const go = (/** @type {Point} */ point, /** @type {PointerEvent} */ event) => {
      hover = toPicture(point);
      stroke.to(inLayer(stroke.layer, hover), event.pointerType === "pen" ? event.pressure : 1);
      viewport.schedule();
    };
    go(start, down);
    return {
      drag: (by, event) => go({ x: start.x + by.x, y: start.y + by.y }, event),
      end: stroke.end,
      cancel: stroke.cancel,
    };
  }

  /** @param {HTMLElement} view */
  function follow(view) {
    view.addEventListener("pointermove", (event) => {
      if (state?.tool?.kind !== "brush" || event.pointerType === "touch") return;
      const { left, top } = view.getBoundingClientRect();
      hover = toPicture({ x: event.clientX - left, y: event.clientY - top });
      viewport.schedule();
    });
    view.addEventListener("pointerleave", () => {
      hover = null;
      viewport.schedule();
    });
  }

  return {
    element,
    veil,
    buttons: [selects, brushes],
    inHand: () => state?.tool != null,
    draft: () => (state?.tool?.kind === "brush" ? (state.tool.draft?.picture ?? null) : null),
    follow,

    /** @param {Point} point @param {PointerEvent} event */
    grab: (point, event) => {
      const tool = state?.tool;
      if (tool == null) return null;
      return tool.kind === "select" ? draw(point, event, tool) : paint(point, event);
    },

    /** @param {Point} point @param {PointerEvent} event */
    click: (point, event) => {
      const tool = state?.tool;
      if (tool?.kind === "select") actions.point({ kind: "point", takesAway: isOther(event, tool), places: [toPicture(point)] });
    },

    /** Draw over the picture what the tool shows. @param {HTMLElement} view */
    draw: (view) => {
      const tool = state?.tool ?? null;
      veil.hidden = tool === null;
      if (tool === null || state === null) return;
      fitCanvas(veil, view);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, veil.width, veil.height);
      if (tool.kind === "brush") return drawRing(context, hover, tool.size * Math.max(state.doc.width, state.doc.height), viewport.sharp);
      if (tool.mask !== null) drawMask(context, tool.mask.picture, state.doc, viewport.sharp);
      for (const mark of drawing === null ? tool.marks : [...tool.marks, drawing]) drawMark(context, mark, viewport.sharp);
    },

    /** @param {State} next */
    render: (next) => {
      state = next;
      const { tool, doc } = next;
      element.hidden = tool === null || doc.width === 0;
      setAttribute(selects, "aria-pressed", tool?.kind === "select");
      setAttribute(brushes, "aria-pressed", tool?.kind === "brush");
      brushes.hidden = doc.layers.length === 0;
      pointing.element.hidden = tool?.kind !== "select";
      painting.element.hidden = tool?.kind !== "brush";
      if (tool !== null) setAttribute(element, "aria-label", t(`${tool.kind}.title`));
      if (tool?.kind === "select") pointing.render(tool);
      if (tool?.kind === "brush") painting.render(tool, findLayer(doc, next.selected));
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
  const way = createWay(t("select.adds"), t("select.takesAway"), actions);
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
  const way = createWay(t("brush.reveals"), t("brush.erases"), actions);
  const size = sliderField({ label: t("brush.size"), step: 1, oninput: (value) => actions.setTool({ size: sizeAt(value) }) });
  const softness = sliderField({ label: t("brush.softness"), step: 1, oninput: (value) => actions.setTool({ softness: value / 100 }) });
  const close = h("button.button.small", { onclick: actions.putToolDown }, t("brush.done"));
  const hint = h("p.mode-hint");
  return {
    element: h("div.tool", h("div.tool-line", way.element, size.element, softness.element, close), hint),
    /** @param {Painting} tool @param {Layer | null} layer */
    render: (tool, layer) => {
      way.set(tool.takesAway);
      size.set(Math.round((100 * Math.log(tool.size / SIZES[0])) / Math.log(SIZES[1] / SIZES[0])), [0, 100]);
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

/** Words for who has keys, or for who has fingers. @template T @param {T} keys @param {T} touch */
const byFinger = (keys, touch) => (matchMedia("(pointer: coarse)").matches ? touch : keys);

/** @param {number} value   of the slider, 0–100: small brushes get as much of it as large ones */
const sizeAt = (value) => SIZES[0] * (SIZES[1] / SIZES[0]) ** (value / 100);

/** Adding or taking away. @param {string} adds @param {string} takesAway @param {Actions} actions */
function createWay(adds, takesAway, actions) {
  const options = /** @type {["adds" | "takesAway", string][]} */ ([
    ["adds", adds],
    ["takesAway", takesAway],
  ]);
  const choice = segmented({ label: t("select.way"), options, onpick: (value) => actions.setTool({ takesAway: value === "takesAway" }) });
  return { element: choice.element, set: (/** @type {boolean} */ away) => choice.set(away ? "takesAway" : "adds") };
}

/** A point of the picture in a layer's own pixels. @param {Layer} layer @param {Point} point */
function inLayer({ x, y, width, height, scale, flipX, flipY }, point) {
  const [left, top] = [(point.x - x) / scale, (point.y - y) / scale];
  return { x: flipX ? width - left : left, y: flipY ? height - top : top };
}

// What is shown over the picture, in pixels of the screen.

const sheet = canvas2d(1, 1);

/** All but what is selected lies under a veil, and a line in black and white goes around it. @param {CanvasRenderingContext2D} context @param {HTMLCanvasElement} mask @param {Extent} doc @param {Camera} camera */
function drawMask(context, mask, { width, height }, { scale, x, y }) {
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
function drawMark(context, { kind, takesAway, places }, { scale, x, y }) {
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
function drawRing(context, at, size, { scale, x, y }) {
  if (at === null) return;
  context.beginPath();
  context.arc(at.x * scale + x, at.y * scale + y, (size / 2) * scale, 0, 2 * Math.PI);
  context.setLineDash([]);
  outline(context, "#fff", devicePixelRatio);
}

/** A path that is seen on light and on dark. @param {CanvasRenderingContext2D} context @param {string} color @param {number} ratio */
function outline(context, color, ratio) {
  context.lineWidth = 3.5 * ratio;
  context.strokeStyle = "rgb(12 10 30 / 70%)";
  context.stroke();
  context.lineWidth = 1.5 * ratio;
  context.strokeStyle = color;
  context.stroke();
}
