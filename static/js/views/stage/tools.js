import { h, setAttribute } from "../../dom.js";
import { t } from "../../i18n.js";
import { fitCanvas } from "../../images/camera.js";
import { dragged, holdOf, roomFor, takesThings, thingsOn } from "../../state/things.js";
import { onDemand } from "../../transport/api.js";
import { iconButton } from "../shell/fields.js";

/** The distance at which a box's corner is grabbed, in CSS pixels; the second is for touch. */
const [CORNER_PX, FINGER_PX] = [10, 22];

/**
 * The tools of the stage: their buttons, and pointer actions of the active one. Bars and overlays are
 * loaded on first use. With Select object a drag draws a box or a line, a click marks a point; Alt
 * subtracts.
 *
 * @param {Actions} actions
 * @param {{readonly camera: Camera, readonly sharp: Camera, schedule: () => void}} viewport
 */
export function createStageTools(actions, viewport) {
  /** @type {State | null} */
  let state = null;
  /** @type {Mark | null} the mark being drawn */
  let drawing = null;
  /** @type {Point | null} where the brush is, in pixels of the picture */
  let hover = null;
  const veil = h("canvas.stage-veil", { "aria-hidden": "true" });
  const context = /** @type {CanvasRenderingContext2D} */ (veil.getContext("2d"));
  const selects = iconButton("select", t("select.title"), () => actions.takeTool("select"));
  const brushes = iconButton("brush", t("brush.title"), () => actions.takeTool("brush"));
  const element = h("div.tool-bar", { role: "group", hidden: true });
  /** @type {typeof import("./tool-display.js") | null} */
  let display = null;
  /** @type {ReturnType<typeof import("./tool-display.js").createToolBars> | null} */
  let bars = null;
  const bring = onDemand(async () => {
    display = await import("./tool-display.js");
    bars = display.createToolBars(actions);
    element.append(...bars.elements);
    if (state !== null) bars.render(state);
    viewport.schedule();
  });

  /** The visible boxes: with their tool, or before a decomposition. @param {State} now */
  function boxesOf(now) {
    const { tool, doc, settings } = now;
    const shows = tool?.kind === "things" || (tool === null && doc.layers.length === 0 && takesThings(now));
    return shows ? thingsOn(settings, doc.picture) : [];
  }

  /** @param {Point} point @returns {Point}   in pixels of the picture */
  function toPicture({ x, y }) {
    const { camera } = viewport;
    return { x: (x - camera.x) / camera.scale, y: (y - camera.y) / camera.scale };
  }

  /** @param {PointerEvent} event @param {Tool} tool */
  const isOther = (event, tool) => (event.altKey || event.button === 2) !== tool.takesAway;

  /** @param {Point} start @param {Pick<Mark, "kind" | "takesAway">} mark @param {(mark: Mark) => void} done @returns {import("./gestures.js").Drag} */
  function draw(start, { kind, takesAway }, done) {
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
        if (mark !== null) done(mark);
        viewport.schedule();
      },
      cancel: () => {
        drawing = null;
        viewport.schedule();
      },
    };
  }

  /** Move the picked box or one of its corners; null without one. @param {State} now @param {Point} start @param {PointerEvent} down @returns {import("./gestures.js").Drag | null} */
  function move({ doc, settings, thing: picked }, start, down) {
    const things = thingsOn(settings, doc.picture);
    const thing = things.find(({ id }) => id === picked);
    const reach = (down.pointerType === "touch" ? FINGER_PX : CORNER_PX) / viewport.camera.scale;
    const hold = thing && holdOf(thing, toPicture(start), reach, doc);
    if (!thing || !hold) return null;
    const put = (/** @type {Thing} */ box) => actions.setThings(things.map((each) => (each.id === box.id ? box : each)));
    return {
      drag: ({ x, y }) => put(dragged(thing, hold, { x: x / viewport.camera.scale, y: y / viewport.camera.scale }, doc)),
      // Leaving the field has released the box.
      end: () => actions.pickThing(thing.id),
      cancel: () => put(thing),
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
      if (state === null || tool == null) return null;
      if (tool.kind === "brush") return paint(point, event);
      if (tool.kind === "things") {
        const box = /** @type {const} */ ({ kind: "box", takesAway: false });
        const moving = move(state, point, event);
        if (moving !== null) return moving;
        return roomFor(state) > 0 ? draw(point, box, ({ places }) => actions.addThing(places)) : null;
      }
      const takesAway = isOther(event, tool);
      return draw(point, { kind: takesAway ? "line" : tool.how, takesAway }, actions.point);
    },

    /** @param {Point} point @param {PointerEvent} event */
    click: (point, event) => {
      const tool = state?.tool;
      if (tool?.kind === "things") actions.pickThingAt(toPicture(point));
      if (tool?.kind === "select") actions.point({ kind: "point", takesAway: isOther(event, tool), places: [toPicture(point)] });
    },

    /** Draw the tool's overlay. @param {HTMLElement} view */
    draw: (view) => {
      if (state === null) return;
      const { tool, doc, thing } = state;
      const things = boxesOf(state);
      veil.hidden = tool === null && things.length === 0;
      if (veil.hidden || display === null) return;
      const { drawMark, drawMask, drawRing, drawThings } = display;
      fitCanvas(veil, view);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, veil.width, veil.height);
      if (tool?.kind === "brush") return drawRing(context, hover, tool.size * Math.max(doc.width, doc.height), viewport.sharp);
      drawThings(context, things, thing, doc, viewport.sharp);
      const { marks = [], mask = null } = tool?.kind === "select" ? tool : {};
      if (mask !== null) drawMask(context, mask.picture, doc, viewport.sharp);
      for (const mark of drawing === null ? marks : [...marks, drawing]) drawMark(context, mark, viewport.sharp);
    },

    /** @param {State} next */
    render: (next) => {
      state = next;
      const { tool, doc } = next;
      element.hidden = tool === null || doc.width === 0;
      setAttribute(selects, "aria-pressed", tool?.kind === "select");
      setAttribute(brushes, "aria-pressed", tool?.kind === "brush");
      brushes.hidden = doc.layers.length === 0;
      if (tool !== null) setAttribute(element, "aria-label", t(`${tool.kind}.title`));
      if (bars === null && (tool !== null || boxesOf(next).length > 0)) bring().catch(() => {});
      bars?.render(next);
    },
  };
}

/** A point of the picture in a layer's own pixels. @param {Layer} layer @param {Point} point */
function inLayer({ x, y, width, height, scale, flipX, flipY }, point) {
  const [left, top] = [(point.x - x) / scale, (point.y - y) / scale];
  return { x: flipX ? width - left : left, y: flipY ? height - top : top };
}
