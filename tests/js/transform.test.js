import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelAt } from "../../static/js/state/doc.js";
import {
  align,
  around,
  distribute,
  frameOf,
  linesOf,
  middleOf,
  mirror,
  moveBy,
  nearest,
  pointOn,
  seenBox,
  setCanvas,
  sized,
  toAngle,
  transform,
  transformed,
} from "../../static/js/state/transform.js";
import { docOf, part } from "./documents.js";

const doc = docOf("a", "b", "c");
const [a, b, c] = doc.layers;
const BOX = { x: 20, y: 10, width: 40, height: 30 };
const placed = { ...a, x: 10, y: -5, scale: 2, flipX: true };
const turned = { ...placed, rotation: 37, stretch: 0.6 };
const close = (/** @type {Point} */ one, /** @type {Point} */ other, within = 1.01) =>
  assert.ok(Math.hypot(one.x - other.x, one.y - other.y) <= within, JSON.stringify([one, other]));

test("the point that is to stay stays, within a rounding", () => {
  const from = { x: 37, y: 21 };
  for (const layer of [placed, turned, { ...turned, rotation: -90 }])
    for (const change of [{ across: 0.7, down: 0.7 }, { turn: 15 }, { turn: -140 }, { across: -1, down: 2, axes: layer.rotation }]) {
      const next = { ...layer, ...transformed(layer, { from, ...change }) };
      // As far as half a pixel of the document goes in the layer's own.
      close(pixelAt(layer, from), pixelAt(next, from), 1.5);
    }
});

test("a layer that comes to a limit stays at its point all the same", () => {
  const corner = pointOn(frameOf([part(a, BOX)]), { x: 1, y: 1 });
  const large = { ...a, ...transformed(a, { from: corner, across: 1e6, down: 1e6 }) };
  assert.equal(large.scale, 32);
  close(pointOn(frameOf([part(large, BOX)]), { x: 1, y: 1 }), corner);
});

test("a frame is turned with its layer, and lies upright around several", () => {
  const frame = frameOf([part(turned, BOX)]);
  assert.equal(frame.angle, 37);
  assert.deepEqual([frame.width, frame.height], [80, 36]);
  close(middleOf(frame), middleOf(seenBox(part(turned, BOX))), 1e-9);
  const both = frameOf([part(a, BOX), part({ ...b, x: 100 }, BOX)]);
  assert.deepEqual(both, { x: 20, y: 10, width: 140, height: 30, angle: 0 });
});

test("sides stretch along a layer's own, corners keep the ratio, Shift frees them and Alt keeps the middle", () => {
  const none = { x: [], y: [] };
  const frame = { x: 0, y: 0, width: 100, height: 50, angle: 90 };
  const held = { free: false, centered: false };
  // The right edge of a frame that is turned by a quarter is below.
  const side = sized(frame, { x: 1, y: 0 }, { x: 7, y: 50 }, held, none, -1).change;
  assert.deepEqual(
    [side.across, side.down].map((factor) => +factor.toFixed(6)),
    [1.5, 1],
  );
  const upright = { ...frame, angle: 0 };
  const corner = sized(upright, { x: 1, y: 1 }, { x: 100, y: 50 }, held, none, -1).change;
  assert.deepEqual([corner.across, corner.down, corner.from], [2, 2, { x: 0, y: 0 }]);
  const free = sized(upright, { x: 1, y: 1 }, { x: 100, y: 0 }, { ...held, free: true }, none, -1).change;
  assert.deepEqual([free.across, free.down], [2, 1]);
  const centered = sized(upright, { x: -1, y: 0 }, { x: -25, y: 0 }, { ...held, centered: true }, none, -1).change;
  assert.deepEqual([centered.across, centered.from], [1.5, { x: 50, y: 25 }]);
  // Past the other side it is mirrored, and never without a pixel.
  assert.ok(sized(upright, { x: 1, y: 0 }, { x: -200, y: 0 }, held, none, -1).change.across < 0);
  assert.equal(sized(upright, { x: 1, y: 0 }, { x: -100, y: 0 }, held, none, -1).change.across, 0.01);
});

test("a handle is drawn to a line, a corner that keeps the ratio to the nearer one", () => {
  const frame = { x: 0, y: 0, width: 100, height: 50, angle: 0 };
  const lines = { x: [205], y: [97] };
  const side = sized(frame, { x: 1, y: 0 }, { x: 103, y: 0 }, { free: true, centered: false }, lines, 4);
  assert.deepEqual([side.change.across, side.ends], [2.05, { x: 205, y: null }]);
  const corner = sized(frame, { x: 1, y: 1 }, { x: 100, y: 50 }, { free: false, centered: false }, lines, 6);
  assert.deepEqual([corner.change.across, corner.change.down, corner.ends], [1.94, 1.94, { x: null, y: 97 }]);
});

test("several turn about their middle and keep their right angles", () => {
  const parts = [part(a, BOX), part({ ...b, x: 100 }, BOX)];
  const layers = parts.map(({ layer }) => layer);
  const from = middleOf(frameOf(parts));
  const [first, second] = layers.map((layer) => ({ ...layer, ...transformed(layer, { from, turn: 90 }) }));
  assert.deepEqual([first.rotation, second.rotation], [90, 90]);
  const box = around([first, second].map((layer) => seenBox(part(layer, BOX))));
  close(middleOf(box), from);
  assert.deepEqual([box.width, box.height], [30, 140]);
  const wide = transformed(first, { from, across: 2 });
  assert.deepEqual([wide.scale, +(wide.scale * wide.stretch).toFixed(3)], [1, 2]);
});

test("what is mirrored twice is as it was, however it is turned", () => {
  for (const axis of /** @type {const} */ (["flipX", "flipY"])) {
    const once = mirror([part(turned, BOX)], axis).apply({ ...doc, layers: [turned] }).layers[0];
    assert.equal(once.rotation, -37);
    assert.notEqual(once[axis], turned[axis]);
    close(middleOf(seenBox(part(once, BOX))), middleOf(seenBox(part(turned, BOX))));
    const twice = mirror([part(once, BOX)], axis).apply({ ...doc, layers: [once] }).layers[0];
    assert.deepEqual([twice.rotation, twice.flipX, twice.flipY], [37, turned.flipX, turned.flipY]);
  }
});

test("layers move by the same way, also where one of them can go no further", () => {
  const far = { ...b, x: 32_760 };
  const { layers } = moveBy([a, far], 100.6, 2.4).apply({ ...doc, layers: [a, far] });
  assert.deepEqual(
    layers.map(({ x, y }) => [x, y]),
    [
      [8, 2],
      [32_768, 2],
    ],
  );
});

test("one layer is aligned with the canvas, several with each other", () => {
  const alone = align([part(a, BOX)], "center", doc).apply(doc).layers[0];
  assert.deepEqual([alone.x, alone.y], [10, 0]);
  const parts = [part(a, BOX), part(b, { ...BOX, y: 40 }), part(c, BOX)];
  const { layers } = align(parts, "bottom", doc).apply(doc);
  assert.deepEqual(
    layers.map(({ y }) => y),
    [30, 0, 30],
  );
});

test("what is distributed has as much room between", () => {
  const stack = { ...doc, layers: [a, { ...b, x: 10 }, { ...c, x: 110 }] };
  const parts = stack.layers.map((layer) => part(layer, BOX));
  const { layers } = distribute(parts, "x").apply(stack);
  assert.deepEqual(
    layers.map(({ x }) => x),
    [0, 55, 110],
  );
});

test("lines are edges and middles, and the nearest within reach counts", () => {
  const lines = linesOf([{ x: 0, y: 0, width: 100, height: 80 }]);
  assert.deepEqual(lines, { x: [0, 50, 100], y: [0, 40, 80] });
  assert.deepEqual(nearest([47, 96], lines.x, 5), { line: 50, by: 3 });
  assert.equal(nearest([47], lines.x, 2), null);
});

test("angles run from above −180 to 180", () => {
  assert.deepEqual([0, 190, -180, 540, 179.996, -0.001].map(toAngle), [0, -170, 180, 180, 180, 0]);
});

test("a gesture is one step", () => {
  assert.equal(
    transform([a], { from: { x: 0, y: 0 }, turn: 1 }).gesture,
    transform([{ ...a, x: 9 }], { from: { x: 3, y: 0 }, turn: 9 }).gesture,
  );
});

test("layers and the picture keep their places on another canvas", () => {
  const cropped = setCanvas({ x: 20.2, y: -10, width: 50, height: 100 }).apply(doc);
  assert.deepEqual([cropped.width, cropped.height, cropped.layers[0].x, cropped.layers[0].y], [50, 100, -20, 10]);
  assert.deepEqual(cropped.frame, { x: -20, y: 10, width: 100, height: 80 });
  assert.deepEqual(setCanvas({ x: -20, y: 10, width: 100, height: 80 }).apply(cropped).frame, { x: 0, y: 0, width: 100, height: 80 });
  assert.equal(setCanvas({ x: 0, y: 0, width: 100, height: 80 }).apply(doc), doc);
});
