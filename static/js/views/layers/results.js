import { h, setAttribute, setText } from "../../dom.js";
import { layerCount, listOf, many, t } from "../../i18n.js";
import { useResult } from "../../state/commands.js";
import { isAsDecomposed } from "../../state/doc.js";
import { capabilitiesOf, isDecomposing } from "../../state/initial.js";
import { resultsOf } from "../../state/results.js";

/** The stack's score, other settings to try, and earlier results. @param {Actions} actions @returns {View} */
export function createResults(actions) {
  const words = h("p.hint.score");
  const another = h("button.link", { onclick: () => actions.decomposeAgain({ seed: null }) }, t("results.another"));
  let useful = 0;
  const fewer = h("button.link", { onclick: () => actions.decomposeAgain({ layerNum: useful }) });
  const row = h("div.results-row", { role: "group", "aria-label": t("results.label") });
  const element = h("div.results", words, h("div.results-ways", another, fewer), row);
  let shown = "";

  /** @param {readonly Result[]} results @param {number} current */
  function renderRow(results, current) {
    row.hidden = results.length < 2;
    const key = JSON.stringify(results.map(({ number, composite, layers }) => [number, composite, layers.length]));
    if (key !== shown) {
      shown = key;
      row.replaceChildren(...(row.hidden ? [] : results.map(resultButton)));
    }
    for (const button of row.children)
      setAttribute(button, "aria-pressed", /** @type {HTMLElement} */ (button).dataset.number === String(current));
  }

  /** @param {Result} result */
  function resultButton({ number, composite, layers }) {
    const about = layerCount(layers.length);
    const look = composite === null ? h("span") : h("img", { src: composite, alt: "", loading: "lazy", decoding: "async" });
    return h(
      "button.result.checkerboard",
      {
        "data-number": String(number),
        "aria-label": t("results.one", { number, layers: about }),
        title: t("results.one", { number, layers: about }),
        onclick: () => actions.run(useResult(number), { selected: null }),
      },
      look,
      h("span.result-count.number", String(layers.length)),
    );
  }

  return {
    element,
    render: (state) => {
      const { doc } = state;
      const busy = isDecomposing(state);
      const results = resultsOf(doc);
      const asMade = doc.layers.length > 0 && isAsDecomposed(doc) && doc.score !== null;
      element.hidden = busy || (!asMade && results.length < 2);
      words.hidden = !asMade;
      if (doc.score !== null) setText(words, scoreWords(doc.score));
      useful = doc.score?.useful ?? 0;
      const advised = asMade && useful > 0 && useful < doc.layers.length;
      fewer.hidden = !advised;
      setText(fewer, t("results.fewer", { layers: layerCount(useful) }));
      // Another seed changes almost nothing if the engine does not sample.
      another.hidden = !asMade || !capabilitiesOf(state).decompose.includes("steps");
      renderRow(results, doc.number);
    },
  };
}

/** In dB; below this the difference from the picture is obvious. */
const POOR_DB = 30;

/** A decomposition's score as a sentence. @param {Wire.ScoreResponse} score */
export function scoreWords({ layers, useful, psnr }) {
  const count = layers.length;
  const said = useful === count ? many("score.all", count) : many("score.some", useful, { layers: layerCount(count) });
  const named = (/** @type {Wire.LayerScoreResponse["verdict"]} */ verdict) => layers.filter((layer) => layer.verdict === verdict);
  const quoted = (/** @type {Wire.LayerScoreResponse} */ { name }) => t("score.quoted", { name });
  /** @param {"empty" | "unseen"} verdict */
  const together = (verdict) => {
    const found = named(verdict);
    return found.length === 0 ? [] : [many(`score.${verdict}`, found.length, { names: listOf(found.map(quoted)) })];
  };
  const repeats = named("duplicate").map((layer) =>
    t("score.duplicate", { name: quoted(layer), like: quoted(layers[(layer.like ?? 1) - 1]) }),
  );
  const faults = [...together("empty"), ...repeats, ...together("unseen")].join(t("score.between"));
  const advised = faults === "" || useful === 0 ? faults : t("score.try", { faults, layers: layerCount(useful) });
  const poor = psnr !== null && psnr < POOR_DB ? t("score.poor") : "";
  return t("score.sentence", { words: [said, advised, poor].filter(Boolean).join(t("score.then")) });
}
