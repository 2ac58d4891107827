import { h, setText } from "../../dom.js";
import { t } from "../../i18n.js";
import { findLayer } from "../../state/doc.js";
import { LIMITS } from "../../state/initial.js";
import { roomFor } from "../../state/things.js";
import { iconButton, segmented, sliderField } from "../shell/fields.js";
import { fullWords } from "../source/things.js";

const [THINNEST, WIDEST] = LIMITS.brush;

/** The bars of the tools; that of the one in hand shows. @param {Actions} actions */
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

/** Words for who has keys, or for who has fingers. @template T @param {T} keys @param {T} touch */
export const byFinger = (keys, touch) => (matchMedia("(pointer: coarse)").matches ? touch : keys);

/** @param {number} value   of the slider, 0–100: small brushes get as much of it as large ones */
export const sizeAt = (value) => THINNEST * (WIDEST / THINNEST) ** (value / 100);

/** @param {number} size @returns {number}   the slider's value for it */
export const sliderAt = (size) => Math.round((100 * Math.log(size / THINNEST)) / Math.log(WIDEST / THINNEST));

/** Adding or taking away. @param {string} adds @param {string} takesAway @param {(takesAway: boolean) => void} onpick */
export function createWay(adds, takesAway, onpick) {
  const options = /** @type {["adds" | "takesAway", string][]} */ ([
    ["adds", adds],
    ["takesAway", takesAway],
  ]);
  const choice = segmented({ label: t("select.way"), options, onpick: (value) => onpick(value === "takesAway") });
  return { element: choice.element, set: (/** @type {boolean} */ away) => choice.set(away ? "takesAway" : "adds") };
}
