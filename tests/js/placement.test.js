import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, panBy, zoomAt } from "../../static/js/images/camera.js";
import { isShown, labelsOf, PLAIN_GROUP, pixelAt, placeBox, placeInside, stackOf, toOffset } from "../../static/js/state/doc.js";
import { docOf } from "./documents.js";

const [plain] = docOf("a").layers;
const placed = { ...plain, x: 10, y: -5, scale: 2, flipX: true };

test("a pixel and its place agree, mirrored, scaled and turned", () => {
  const turned = { ...placed, rotation: 37, stretch: 0.6 };
  for (const layer of [plain, placed, { ...placed, flipY: true }, turned, { ...turned, rotation: -90 }]) {
    for (const [x, y] of [
      [0, 0],
      [7, 3],
      [99, 79],
    ]) {
      const box = placeBox(layer, { x, y, width: 1, height: 1 });
      assert.deepEqual(pixelAt(layer, { x: box.x + box.width / 2, y: box.y + box.height / 2 }), { x, y });
    }
  }
});

test("a layer is seen as far as the groups around it are", () => {
  const doc = { ...docOf("a:G / H"), groups: { G: { ...PLAIN_GROUP, visible: false }, Other: PLAIN_GROUP } };
  assert.equal(isShown(doc, doc.layers[0]), false);
  assert.equal(isShown({ ...doc, groups: {} }, doc.layers[0]), true);
  assert.deepEqual(labelsOf("G / H / I"), ["G", "G / H", "G / H / I"]);
});

test("offsets are whole numbers that the server takes", () => {
  assert.deepEqual([1.4, -0.4, 1e9, -1e9].map(toOffset), [1, 0, 32_768, -32_768]);
  assert.ok(Object.is(toOffset(-0.4), 0));
});

test("a picture that comes in fits into the document", () => {
  assert.deepEqual(placeInside({ width: 50, height: 40 }, { width: 100, height: 80 }), { scale: 1, x: 25, y: 20 });
  assert.deepEqual(placeInside({ width: 400, height: 80 }, { width: 100, height: 80 }), { scale: 0.25, x: 0, y: 30 });
});

test("the server is told how each layer lies and looks", () => {
  const { layers } = docOf("a", "b:G");
  const [under, over] = stackOf(/** @type {any} */ ({ layers: [layers[0], { ...layers[1], scale: 2, flipX: true, blend: "screen" }] }));
  assert.deepEqual(under, {
    image: "/api/images/a.png",
    name: "A",
    opacity: 1,
    visible: true,
    x: 0,
    y: 0,
    scale: 1,
    stretch: 1,
    rotation: 0,
    flip_x: false,
    flip_y: false,
    blend: "normal",
    group: "",
    recipe: null,
  });
  assert.deepEqual([over.scale, over.flip_x, over.blend, over.group, over.flip_y], [2, true, "screen", "G", false]);
});

test("the camera fits, zooms about a point and keeps some of the picture in sight", () => {
  const [stage, picture] = [
    { width: 800, height: 600 },
    { width: 1000, height: 500 },
  ];
  const camera = fit(stage, picture, { top: 50, side: 50, bottom: 50 });
  assert.deepEqual(camera, { scale: 0.7, x: 50, y: 125 });
  const near = zoomAt(camera, 2, { x: 50, y: 125 });
  assert.deepEqual(near, { scale: 1.4, x: 50, y: 125 });
  assert.equal(panBy(near, 1e6, 0, stage, picture).x, 752);
});
