import { t } from "../i18n.js";
import { asLayer, blobOf, flatten } from "../images/compositor.js";
import { fromDataUrl } from "../images/files.js";
import { coverageOf, maskOf } from "../images/pixels.js";
import { brushed, cutOut } from "../state/commands.js";
import { findLayer, handMade, isShown, newId, newLayer, stackOf } from "../state/doc.js";

/** The number of marks that count, the latest. */
const MARKS = 40;
/** The number of points of a drawn line that count. */
const PLACES = 60;

/** The tools of the stage: select object, and the brush. @param {Context} context @param {Travel} history */
export function createTools({ store, api, bitmaps, tryTo }, { run, undo }) {
  /** @type {{doc: Doc, image: Promise<string>} | null} a document's composite, on the server */
  let seen = null;
  let asking = new AbortController();
  /** @type {typeof import("../images/painting.js")} loaded when the brush is first taken up */
  let painting;
  /** @type {Promise<unknown>} strokes are saved in order */
  let keeping = Promise.resolve();

  /** @param {Partial<Pointing>} patch */
  function patch(patch) {
    const { tool } = store.state;
    if (tool?.kind === "select") store.update({ tool: { ...tool, ...patch } });
  }

  /** The stage's content as one picture on the server, so that a click need not send all layers again. @param {Doc} doc */
  function pictureOf(doc) {
    if (seen?.doc.layers !== doc.layers || seen.doc.groups !== doc.groups || seen.doc.picture !== doc.picture) {
      const flat = async () => (await api.upload(await (await flatten(layersOf(doc), doc, bitmaps)).toBlob())).image;
      const alone = doc.layers.length === 0 ? doc.picture?.image : undefined;
      seen = { doc, image: alone === undefined ? flat() : Promise.resolve(alone) };
    }
    return seen.image;
  }

  /** Update the selection from the marks. @param {readonly Mark[]} marks */
  async function look(marks) {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    patch({ marks, busy: marks.length > 0, ...(marks.length === 0 ? { mask: null } : {}) });
    if (marks.length === 0) return;
    const { doc } = store.state;
    try {
      const layers = [{ image: await pictureOf(doc) }];
      const { mask, box } = await api.select({ layers, width: doc.width, height: doc.height, ...hintsOf(marks) }, signal);
      const picture = box === null ? null : maskOf(await createImageBitmap(fromDataUrl(mask)));
      if (signal.aborted) return;
      patch({ busy: false, mask: picture && { address: mask, picture } });
      store.update({ spoken: t(picture === null ? "select.nothing" : "select.found") });
    } catch (error) {
      if (signal.aborted) return;
      seen = null;
      patch({ busy: false });
      await tryTo(() => Promise.reject(error));
    }
  }

  /** Turn the selection into a layer. */
  async function makeLayer() {
    const { doc, tool } = store.state;
    if (tool?.kind !== "select" || tool.mask === null || tool.busy) return;
    const { mask } = tool;
    patch({ busy: true });
    await tryTo(async () => {
      const stack = { ...doc, layers: layersOf(doc) };
      const name = t("select.name");
      const answer = await api.selectLayer({
        layers: stackOf(stack),
        groups: doc.groups,
        width: doc.width,
        height: doc.height,
        mask: mask.address,
        name,
      });
      const { index, layer, changed } = answer;
      if (store.state.doc !== doc) return store.say(t("select.outdated"));
      const { image, width, height, coverage, group } = layer;
      const made = newLayer({ id: newId(), name, group, image, width, height, coverage });
      const pictures = changed.map((one) => ({ ...one, version: keep(stack.layers[one.index], handMade(one.image, one.coverage)) }));
      await Promise.all([image, ...changed.map((one) => one.image)].map(bitmaps.load));
      run(cutOut(stack.layers, made, index, pictures), { selected: made.id, tool: null, mode: "layers" });
      store.update({ spoken: t("select.made") });
    });
    patch({ busy: false });
  }

  /** Add a version to a layer, and return its index. @param {Layer} layer @param {Version} version */
  const keep = (layer, version) => Math.max(0, store.addVersion(layer.id, version));

  /** @param {Painting} tool */
  function targetOf(tool) {
    const layer = findLayer(store.state.doc, store.state.selected);
    if (layer === null || !isShown(store.state.doc, layer)) return null;
    const draft = tool.draft?.id === layer.id ? tool.draft : null;
    const bitmap = draft?.picture ?? bitmaps.peek(layer.image);
    return bitmap === null ? null : { layer, bitmap };
  }

  /** The colors that a brush can restore in a layer, as far as they are loaded. @param {Layer} layer @param {CanvasImageSource & Extent} now */
  function colorsFor(layer, now) {
    const { doc } = store.state;
    // Layers of the picture's size come from it, and are at their original position.
    const whole = doc.frame === null && layer.width === doc.width && layer.height === doc.height ? doc.picture?.image : undefined;
    const before = [whole, layer.versions[0].image].map((address) => (address === undefined ? null : bitmaps.peek(address)));
    return painting.colorsOf(now, [...before.filter((picture) => picture !== null), now]);
  }

  return {
    /** Activate or deactivate a tool. @param {Tool["kind"]} kind */
    takeTool: (kind) => {
      const { tool, selected, doc } = store.state;
      asking.abort();
      if (tool?.kind === kind) return store.update({ tool: null });
      if (kind === "things") return store.update({ tool: { kind }, mode: "layers", notice: null });
      if (kind === "brush") {
        const layer = findLayer(doc, selected);
        if (layer === null) return store.say(t("brush.needsLayer"));
        bitmaps.load(layer.versions[0].image).catch(() => {});
        return tryTo(async () => {
          painting = await import("../images/painting.js");
          store.update({ tool: { kind, takesAway: true, size: 0.06, softness: 0.5, draft: null }, mode: "layers", notice: null });
        });
      }
      if (doc.width > 0) pictureOf(doc).catch(() => (seen = null));
      return store.update({
        tool: { kind, how: "box", takesAway: false, marks: [], busy: false, mask: null },
        mode: "layers",
        notice: null,
      });
    },

    putToolDown: () => {
      asking.abort();
      if (store.state.tool !== null) store.update({ tool: null });
    },

    /** @param {Partial<Pointing> | Partial<Painting>} change */
    setTool: (change) => {
      const { tool } = store.state;
      if (tool !== null) store.update({ tool: /** @type {Tool} */ ({ ...tool, ...change }) });
    },

    /** Point at something on the stage. A box, and a line that adds, start a new selection. @param {Mark} mark */
    point: (mark) => {
      const { tool } = store.state;
      if (tool?.kind !== "select") return;
      const before = mark.kind === "point" || mark.takesAway ? tool.marks : [];
      look([...before, { ...mark, places: thinned(mark.places) }].slice(-MARKS));
    },

    makeLayer,

    /** What Enter does with a tool. */
    finishTool: () => (store.state.tool?.kind === "select" ? makeLayer() : store.update({ tool: null })),

    /** Undo the last mark, or without one the last change. */
    undo: () => {
      const { tool } = store.state;
      if (tool?.kind === "select" && tool.marks.length > 0) look(tool.marks.slice(0, -1));
      else undo();
    },

    /** Begin a stroke of the brush on the selected layer; null if there is nothing to paint on. @param {boolean} other   whether to paint in the opposite mode */
    stroke: (other) => {
      const { tool, doc } = store.state;
      const target = tool?.kind === "brush" ? targetOf(tool) : null;
      if (tool?.kind !== "brush" || target === null) return null;
      const { layer, bitmap } = target;
      const context = painting.copyOf(bitmap);
      const takesAway = tool.takesAway !== other;
      const scale = bitmap.width / layer.width / (layer.scale * Math.sqrt(layer.stretch));
      const size = tool.size * Math.max(doc.width, doc.height) * scale;
      const draw = painting.beginStroke(context, takesAway ? null : colorsFor(layer, bitmap), { size, softness: tool.softness });
      const draft = { id: layer.id, picture: context.canvas };
      const before = tool.draft;
      store.update({ tool: { ...tool, draft } });

      const isShown = () => store.state.tool?.kind === "brush" && store.state.tool.draft === draft;
      return {
        layer,
        /** @param {Point} point   of the layer, in its pixels @param {number} pressure */
        to: ({ x, y }, pressure) => draw({ x: (x * bitmap.width) / layer.width, y: (y * bitmap.height) / layer.height }, pressure),
        cancel: () => isShown() && store.update({ tool: { .../** @type {Painting} */ (store.state.tool), draft: before } }),
        end: () => {
          const coverage = coverageOf(context.canvas);
          const blob = blobOf(context.canvas);
          keeping = keeping.then(() =>
            tryTo(async () => {
              const { image } = await api.upload(await blob);
              await bitmaps.load(image);
              const version = keep(layer, handMade(image, coverage));
              run(brushed(layer, takesAway, version));
            }).then(() => isShown() && store.update({ tool: { .../** @type {Painting} */ (store.state.tool), draft: null } })),
          );
        },
      };
    },
  };
}

/** The layers of a document; before a decomposition, its picture as a layer. @param {Doc} doc */
const layersOf = ({ layers, picture }) =>
  layers.length > 0 || picture === null ? layers : [asLayer({ ...picture, name: t("select.ground") })];

/**
 * The marks in the server's form: points on the object, and points to exclude.
 * @param {readonly Mark[]} marks
 * @returns {Pick<Required<Wire.SelectRequest>, "points" | "without" | "line"> & {box: number[] | null}}
 */
export function hintsOf(marks) {
  const kept = marks.filter(({ takesAway }) => !takesAway);
  const box = kept.find(({ kind }) => kind === "box")?.places ?? null;
  return {
    points: kept.filter(({ kind }) => kind === "point").flatMap(({ places }) => places.map(pair)),
    without: marks.filter(({ takesAway }) => takesAway).flatMap(({ places }) => places.map(pair)),
    box: box && [box[0].x, box[0].y, box[1].x, box[1].y],
    line: kept.filter(({ kind }) => kind === "line").flatMap(({ places }) => places.map(pair)),
  };
}

/** @param {Point} point */
const pair = ({ x, y }) => [x, y];

/** A line reduced to `PLACES` points, including its ends. @param {readonly Point[]} places */
function thinned(places) {
  if (places.length <= PLACES) return [...places];
  return Array.from({ length: PLACES }, (_, index) => places[Math.round((index * (places.length - 1)) / (PLACES - 1))]);
}
