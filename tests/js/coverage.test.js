import assert from "node:assert/strict";
import { test } from "node:test";
import { sizeIn, sizeOf } from "../../static/js/images/files.js";
import { coverageIn, shareInside } from "../../static/js/images/pixels.js";
import { docOf } from "./documents.js";

const [plain] = docOf("a").layers;
const doc = { width: 200, height: 100 };
const full = { ...plain, width: 100, height: 50, coverage: 0.5, x: 0, y: 0, scale: 1, flipX: false, flipY: false };

test("coverage is of the document, whatever the layer's own size", () => {
  assert.equal(coverageIn(full, doc, null), 0.125);
  assert.equal(coverageIn({ ...full, scale: 2 }, doc, null), 0.5);
  assert.equal(coverageIn({ ...full, scale: 0.5 }, doc, null), 0.03125);
  assert.equal(coverageIn({ ...full, scale: 32, coverage: 1 }, doc, null), 1);
});

test("what lies outside of the document does not count, mirrored or not", () => {
  const size = { width: 4, height: 2 };
  const left = { size, alpha: Uint8Array.from([255, 255, 0, 0, 255, 255, 0, 0]) };
  assert.equal(shareInside({ ...full, x: -50 }, doc, left), 0);
  assert.equal(shareInside({ ...full, x: -50, flipX: true }, doc, left), 1);
  assert.equal(shareInside({ ...full, y: -25 }, doc, left), 0.5);
  assert.equal(shareInside({ ...full, x: 500 }, doc, left), 0);
  assert.equal(shareInside(full, doc, { size, alpha: new Uint8Array(8) }), 0);
});

test("a picture is made as small as the server takes it, and never empty", () => {
  assert.deepEqual(sizeIn({ width: 4000, height: 3000 }, undefined), { width: 4000, height: 3000 });
  const limits = { max_pixels: 16_777_216, max_side: 8192, max_body_mb: 32, image_formats: [] };
  for (const [width, height] of [
    [8000, 6000],
    [20_000, 3],
    [6000, 8000],
    [16_384, 1024],
  ]) {
    const within = sizeIn({ width, height }, limits);
    assert.ok(within.width * within.height <= limits.max_pixels && Math.max(within.width, within.height) <= limits.max_side);
    assert.ok(Math.min(within.width, within.height) >= 1);
  }
});

test("a drawing has the size it says, or that of its view box", () => {
  const drawing = (attributes) => ({ getAttribute: (name) => attributes[name] ?? null });
  assert.deepEqual(sizeOf(drawing({ width: "120", height: "80px" })), { width: 120, height: 80 });
  assert.deepEqual(sizeOf(drawing({ width: "1in", height: "72pt" })), { width: 96, height: 96 });
  assert.deepEqual(sizeOf(drawing({ width: "100%", height: "100%", viewBox: "0 0 24 12" })), { width: 24, height: 12 });
  assert.deepEqual(sizeOf(drawing({ width: "48", viewBox: "0,0,24,12" })), { width: 48, height: 24 });
  assert.deepEqual(sizeOf(drawing({ height: "6", viewBox: "-5 -5 24 12" })), { width: 12, height: 6 });
  assert.deepEqual(sizeOf(drawing({ width: "0", height: "huge", viewBox: "0 0 0 9" })), { width: 300, height: 150 });
});
