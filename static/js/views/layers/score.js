import { layerCount, listOf, many, t } from "../../i18n.js";

/** Below it the difference from the picture is seen at once, in dB. */
const POOR_DB = 30;

/** What a decomposition is worth, in a sentence. @param {Wire.ScoreResponse} score */
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
