import { t } from "../i18n.js";
import { partOf } from "../images/pixels.js";
import { duplicate, remove, setVisible } from "../state/commands.js";
import { findLayer, indexOf, newId, selectionOf } from "../state/doc.js";
import { around, frameOf, middleOf, mirror, moveBy, seenBox, setCanvas, transform } from "../state/transform.js";

/** Operations on all selected layers. @param {Context} context @param {Travel} history */
export function createSelection({ store, bitmaps }, { run, undo, endKeys }) {
  /** The targets of an operation on a layer: the whole selection if the layer is in it. @param {Layer} layer */
  function together(layer) {
    const layers = selectionOf(store.state);
    return layers.some(({ id }) => id === layer.id) ? layers : store.state.doc.layers.filter(({ id }) => id === layer.id);
  }

  /** @param {Layer} layer */
  const partsOf = (layer) => together(layer).map((each) => partOf(each, bitmaps));

  /** Announce the layers' position after a key; consecutive presses are one step. @param {Layer} layer */
  function tell({ id, name }) {
    const layer = findLayer(store.state.doc, id);
    endKeys();
    if (layer === null) return;
    const { x, y, width, height } = around(partsOf(layer).map(seenBox));
    const [place, size] = [`${Math.round(x)}, ${Math.round(y)}`, `${Math.round(width)} × ${Math.round(height)}`];
    store.update({ spoken: t("layers.placed", { name, place, size, angle: layer.rotation }) });
  }

  /** @param {Layer} layer @param {Omit<import("../state/transform.js").Change, "from">} change   about the center of the selection */
  function change(layer, change) {
    const parts = partsOf(layer);
    const layers = parts.map((part) => part.layer);
    run(transform(layers, { from: middleOf(frameOf(parts)), ...change }));
    tell(layer);
  }

  /** What to select after layers are removed: what is in their place. @param {readonly Layer[]} gone   bottom to top */
  function neighbor(gone) {
    const { layers } = store.state.doc;
    const left = layers.filter((layer) => !gone.includes(layer));
    return (left[layers.indexOf(gone[0]) - 1] ?? left[0])?.id ?? null;
  }

  /** @param {readonly string[]} ids   the last one is the main one */
  const selectThese = (ids) => store.update({ selected: ids.at(-1) ?? null, also: ids.slice(0, -1), group: null, notice: null });

  /** The ids of the selection, the main one last. */
  function chosen() {
    const { selected } = store.state;
    const others = selectionOf(store.state).filter(({ id }) => id !== selected);
    return [...others.map(({ id }) => id), ...(selected === null ? [] : [selected])];
  }

  /** @param {Box} box   in the current canvas */
  function changeCanvas(box) {
    const { max_side: side, max_pixels: pixels } = store.state.config?.limits ?? { max_side: Infinity, max_pixels: Infinity };
    if (Math.max(box.width, box.height) > side || box.width * box.height > pixels) store.say(t("canvas.tooLarge"));
    else run(setCanvas(box));
  }

  return {
    selectThese,

    /** Add a layer to the selection, or remove it. @param {string} id */
    selectToo: (id) => {
      const others = chosen().filter((other) => other !== id);
      selectThese(others.length < chosen().length ? others : [...others, id]);
    },

    /** Select all layers from the main one to this one. @param {string} id */
    selectTo: (id) => {
      const { doc, selected } = store.state;
      const [here, there] = [indexOf(doc, id), indexOf(doc, selected ?? id)];
      const between = doc.layers.slice(Math.min(here, there), Math.max(here, there) + 1).map((layer) => layer.id);
      selectThese([...new Set([...chosen(), ...between])].filter((other) => other !== id).concat(id));
    },

    /** Extend the selection to the layer `by` places further up (positive) or down. @param {number} by */
    selectNextToo: (by) => {
      const { doc, selected } = store.state;
      const next = doc.layers[indexOf(doc, selected) + by];
      if (next !== undefined) selectThese([...chosen().filter((id) => id !== next.id), next.id]);
    },

    /** @param {string | null} id   of the layer whose row is pointed at */
    pointAt: (id) => store.state.pointed !== id && store.update({ pointed: id }),

    /** Move by so many pixels. @param {Layer} layer @param {number} dx @param {number} dy */
    nudge: (layer, dx, dy) => {
      run(moveBy(together(layer), dx, dy));
      tell(layer);
    },

    /** @param {Layer} layer @param {number} degrees   clockwise */
    turn: (layer, degrees) => change(layer, { turn: degrees }),

    /** @param {Layer} layer @param {number} by   how many times as large */
    enlarge: (layer, by) => change(layer, { across: by, down: by }),

    /** Fit the canvas to the visible content of layers. @param {readonly Layer[]} layers */
    fitCanvas: (layers) => changeCanvas(around(layers.map((layer) => seenBox(partOf(layer, bitmaps))))),
    setCanvas: changeCanvas,

    /** @param {Layer} layer @param {"flipX" | "flipY"} axis */
    flip: (layer, axis) => run(mirror(partsOf(layer), axis)),

    /** Hide or show it. @param {Layer} layer */
    toggle: (layer) => run(setVisible(together(layer), !layer.visible)),

    /** @param {Layer} layer */
    duplicate: (layer) => {
      const layers = together(layer);
      const ids = layers.map(newId);
      if (run(duplicate(layers, ids))) selectThese(ids);
    },

    /** @param {Layer} layer */
    remove: (layer) => {
      const { selected } = store.state;
      const layers = together(layer);
      const command = remove(layers);
      const next = layers.some(({ id }) => id === selected) ? neighbor(layers) : selected;
      const words = t("notice.deleted", { name: String(command.about.name) });
      run(command, { selected: next, notice: { text: words, action: { label: t("notice.undo"), run: undo } } });
    },
  };
}
