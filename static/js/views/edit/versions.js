import { h, setAttribute, setText } from "../../dom.js";
import { percent, t } from "../../i18n.js";
import { icon, setIcon } from "../../icons.js";
import { atWork } from "../../state/initial.js";
import { chosenOf, editOf, offered } from "../../state/results.js";
import { createThumb } from "../layers/rows.js";
import { field } from "../shell/fields.js";
import { shareOf } from "../shell/job-bar.js";

/**
 * @typedef {object} Entry
 * @property {number | string} key      as the edit's `chosen` names it
 * @property {"version" | "running" | Try["status"]} kind
 * @property {string | null} image
 * @property {string} caption
 * @property {string} label
 * @property {boolean} used             the layer shows it
 * @property {boolean} waiting
 */

/** The versions of a layer, the first one first, then failed and running tries. @param {(key: number | string) => void} onchoose @param {Bitmaps} bitmaps */
export function createVersionStrip(onchoose, bitmaps) {
  const list = h("div.versions", { role: "radiogroup", "aria-label": t("versions.title") });
  const element = field(t("versions.title"), list);
  /** @type {Map<number | string, ReturnType<typeof createTile>>} */
  const tiles = new Map();
  let shown = "";
  let scrolled = "";

  list.addEventListener("keydown", (event) => {
    const keys = [...tiles.keys()];
    const now = keys.findIndex((key) => tiles.get(key)?.element === document.activeElement);
    const next = { ArrowRight: now + 1, ArrowDown: now + 1, ArrowLeft: now - 1, ArrowUp: now - 1, Home: 0, End: keys.length - 1 }[
      event.key
    ];
    if (next === undefined || keys[next] === undefined) return;
    event.preventDefault();
    onchoose(keys[next]);
    tiles.get(keys[next])?.element.focus();
  });

  /** A tile for each entry, kept as long as the entry is listed. @param {Entry[]} entries */
  function arrange(entries) {
    const kept = new Map(tiles);
    tiles.clear();
    for (const { key } of entries) tiles.set(key, kept.get(key) ?? createTile(bitmaps, () => onchoose(key)));
    list.replaceChildren(...[...tiles.values()].map((tile) => tile.element));
  }

  return {
    element,
    /** Release pictures that a closed window does not show. */
    clear: () => {
      arrange([]);
      shown = scrolled = "";
    },
    /** @param {State} state @param {Layer} layer */
    render: (state, layer) => {
      const entries = entriesOf(state, layer);
      const keys = [layer.id, ...entries.map(({ key }) => key)].join(" ");
      if (keys !== shown) arrange(entries);
      shown = keys;
      element.hidden = entries.length < 2;
      const { index, run, failed } = chosenOf(state, layer);
      const chosen = run?.job.id ?? failed?.id ?? index;
      for (const entry of entries) tiles.get(entry.key)?.render(entry, entry.key === chosen);
      if (scrolled === `${keys} ${chosen}`) return;
      scrolled = `${keys} ${chosen}`;
      reveal(list, tiles.get(chosen)?.element);
    },
  };
}

/** Scroll only sideways. @param {HTMLElement} list @param {HTMLElement | undefined} tile */
function reveal(list, tile) {
  if (tile === undefined) return;
  const [outer, inner] = [list.getBoundingClientRect(), tile.getBoundingClientRect()];
  list.scrollLeft += Math.max(0, inner.right + inner.width / 2 - outer.right) - Math.max(0, outer.left - inner.left + inner.width / 2);
}

/** @param {State} state @param {Layer} layer @returns {Entry[]} */
function entriesOf(state, layer) {
  const { tries, waiting } = editOf(state, layer.id);
  const versions = offered(layer).map((index) => ({
    key: index,
    kind: /** @type {const} */ ("version"),
    image: layer.versions[index].image,
    caption: versionName(index),
    label: [versionName(index), layer.versions[index].instruction].filter(Boolean).join(": "),
    used: index === layer.current,
    waiting: waiting.includes(index) && index !== layer.current,
  }));
  const plain = { image: null, used: false, waiting: false };
  const failed = tries.map(({ id, status, instruction }) => ({
    ...plain,
    key: id,
    kind: status,
    caption: t(`versions.${status}`),
    label: `${t(`versions.${status}`)}: ${instruction}`,
  }));
  const running = atWork(state, "edit", layer.id).map((tracked) => {
    const share = shareOf(tracked);
    const caption = share === null ? t("versions.waiting") : percent(Math.round(share * 100) / 100);
    return {
      ...plain,
      key: tracked.job.id,
      kind: /** @type {const} */ ("running"),
      image: tracked.previews[1] ?? null,
      caption,
      label: t("versions.running"),
    };
  });
  return [...versions, ...failed, ...running];
}

/** @param {number} index */
export const versionName = (index) => (index === 0 ? t("versions.original") : t("layers.version", { number: index + 1 }));

/** @param {Bitmaps} bitmaps @param {() => void} onclick */
function createTile(bitmaps, onclick) {
  let wanted = "";
  const thumb = createThumb(bitmaps);
  const mark = icon("warning");
  const spinner = h("span.version-spinner");
  const used = h("span.version-used", { title: t("versions.used") }, icon("check"));
  const caption = h("span.version-caption.number");
  const picture = h("span.version-picture.checkerboard", thumb.element, mark, spinner, used);
  const element = h("button.version-tile", { role: "radio", onclick }, picture, caption);
  // A layer may have very many versions: invisible ones are not loaded.
  const watch = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && thumb.draw(wanted));
  watch.observe(element);

  return {
    element,
    /** @param {Entry} entry @param {boolean} chosen */
    render: ({ kind, image, caption: text, label, used: isUsed, waiting }, chosen) => {
      wanted = image ?? "";
      thumb.element.hidden = image === null;
      spinner.hidden = kind !== "running" || image !== null;
      if (kind === "running" && image !== null) thumb.draw(image); // previews of a run change
      mark.toggleAttribute("hidden", kind === "version" || kind === "running");
      setIcon(mark, kind === "failed" ? "warning" : "close");
      used.hidden = !isUsed;
      setText(caption, text);
      setAttribute(element, "data-kind", kind);
      element.classList.toggle("waiting", waiting);
      setAttribute(element, "aria-checked", chosen);
      setAttribute(element, "aria-label", isUsed ? t("versions.usedLabel", { label }) : label);
      element.title = label;
      element.tabIndex = chosen ? 0 : -1;
    },
  };
}
