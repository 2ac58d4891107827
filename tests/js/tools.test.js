import assert from "node:assert/strict";
import { test } from "node:test";
import "./browser.js";
import { createTools } from "../../static/js/actions/tools.js";
import { brushed, cutOut } from "../../static/js/state/commands.js";
import { handMade, newLayer } from "../../static/js/state/doc.js";
import { layerPart, makeGroup, setGroup } from "../../static/js/state/groups.js";
import { offered } from "../../static/js/state/results.js";
import { docOf, PICTURE } from "./documents.js";
import { contextOf, settle } from "./page.js";

const mark = (kind, places, takesAway = false) => ({ kind, takesAway, places: places.map(([x, y]) => ({ x, y })) });

/** Tools over a server that finds nothing, and what it was asked. */
function toolsOf() {
  const asked = [];
  const select = async (body, signal) => {
    asked.push({ body, signal });
    return { mask: "", box: null, width: 1, height: 1, coverage: 0 };
  };
  const context = contextOf({ api: { select } });
  const { store } = context;
  store.update({ doc: { ...store.state.doc, layers: [], picture: PICTURE, width: 100, height: 80 } });
  const history = { run: (command, patch) => store.run(command, patch), undo: () => store.undo() };
  const tools = createTools({ ...context, tryTo: (work) => work().catch(() => {}) }, /** @type {any} */ (history));
  tools.takeTool("select");
  return { asked, store, tools };
}

test("clicks add to each other, and a box starts over", async () => {
  const { asked, tools } = toolsOf();
  tools.point(mark("point", [[1, 2]]));
  tools.point(mark("point", [[3, 4]]));
  tools.point(mark("point", [[5, 6]], true));
  await settle();
  const { points, without, box, line } = asked.at(-1).body;
  assert.deepEqual(
    { points, without, box, line },
    {
      points: [
        [1, 2],
        [3, 4],
      ],
      without: [[5, 6]],
      box: null,
      line: [],
    },
  );
  tools.point(
    mark("box", [
      [9, 8],
      [1, 2],
    ]),
  );
  await settle();
  assert.deepEqual([asked.at(-1).body.box, asked.at(-1).body.points], [[9, 8, 1, 2], []]);
});

test("what is pointed at is looked for in what the groups show now", async () => {
  let sent = 0;
  const context = contextOf({ api: { upload: async () => ({ image: `/api/images/${++sent}.png` }) } });
  const asked = [];
  context.api.select = async (body) => asked.push(body) && { mask: "", box: null };
  const tools = createTools({ ...context, tryTo: (work) => work().catch(() => {}) }, /** @type {any} */ ({}));
  context.store.run(makeGroup([layerPart(context.store.state.doc.layers[0])], "G"));
  tools.takeTool("select");
  tools.point(mark("point", [[1, 2]]));
  await settle();
  context.store.run(setGroup("G", { visible: false }));
  tools.point(mark("point", [[3, 4]]));
  await settle();
  assert.notEqual(asked[0].layers[0].image, asked[1].layers[0].image);
});

test("only the latest of what is asked is waited for", async () => {
  const { asked, store, tools } = toolsOf();
  tools.point(mark("point", [[1, 2]]));
  await settle();
  tools.point(
    mark(
      "line",
      Array.from({ length: 500 }, (_, index) => [index, index]),
    ),
  );
  await settle();
  assert.equal(asked[0].signal.aborted, true);
  assert.equal(asked[1].signal.aborted, false);
  const { line } = asked[1].body;
  assert.deepEqual([line.length, line[0], line.at(-1)], [60, [0, 0], [499, 499]]);
  tools.putToolDown();
  assert.equal(asked[1].signal.aborted, true);
  assert.equal(store.state.tool, null);
});

test("undo takes back marks before changes", async () => {
  const { store, tools } = toolsOf();
  tools.point(mark("point", [[1, 2]]));
  tools.undo();
  await settle();
  assert.deepEqual(store.state.tool.marks, []);
});

const version = (image, coverage) => handMade(image, coverage);
const withVersion = (layer, image, coverage) => ({ ...layer, versions: [...layer.versions, version(image, coverage)] });
const cut = newLayer({ id: "n", name: "Object", image: "/api/images/n.png", width: 100, height: 80, coverage: 0.1 });

test("a cut layer lies above those it was cut from, and what is empty then is gone", () => {
  const before = docOf("a", "b", "c");
  const layers = [
    withVersion(before.layers[0], "/api/images/a2.png", 0.5),
    withVersion(before.layers[1], "/api/images/b2.png", 0),
    before.layers[2],
  ];
  const doc = { ...before, layers };
  const changed = [
    { index: 0, image: "/api/images/a2.png", coverage: 0.5, version: 1 },
    { index: 1, image: "/api/images/b2.png", coverage: 0, version: 1 },
  ];
  const after = cutOut(layers, cut, 2, changed).apply(doc);
  assert.deepEqual(
    after.layers.map(({ id }) => id),
    ["a", "n", "c"],
  );
  assert.deepEqual([after.layers[0].image, after.layers[0].current], ["/api/images/a2.png", 1]);
});

test("a picture that was not taken apart becomes the ground", () => {
  const doc = { ...docOf(), picture: PICTURE, layers: [] };
  const ground = newLayer({ id: "picture", name: "Background", image: PICTURE.image, width: 100, height: 80, coverage: 1 });
  const after = cutOut([ground], cut, 1, [{ index: 0, image: "/api/images/g.png", coverage: 1, version: 0 }]).apply(doc);
  assert.deepEqual(
    after.layers.map(({ name, image }) => [name, image]),
    [
      ["Background", "/api/images/g.png"],
      ["Object", cut.image],
    ],
  );
  assert.equal(after.layers[0].versions.length, 1);
});

test("strokes that others took the place of are not offered", () => {
  const [layer] = docOf("a").layers;
  const painted = withVersion(withVersion(layer, "/api/images/1.png", 0.4), "/api/images/2.png", 0.3);
  const { layers } = brushed(painted, true, 2).apply({ ...docOf("a"), layers: [painted] });
  assert.deepEqual(offered(layers[0]), [0, 2]);
  assert.equal(layers[0].image, "/api/images/2.png");
});
