import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { decomposed, openPicture, setOpacity, useResult } from "../../static/js/state/commands.js";
import { EMPTY_DOC } from "../../static/js/state/doc.js";
import { previewOf, resultsOf } from "../../static/js/state/results.js";
import { pack, unpack } from "../../static/js/state/snapshot.js";
import { addVersion } from "../../static/js/state/store.js";
import { docOf, PICTURE, stackOf } from "./documents.js";

/** What the server answers with for so many layers. */
const answer = (count, seed) =>
  /** @type {any} */ ({
    layers: Array.from({ length: count + 1 }, (_, index) => ({
      index,
      name: `L${index}`,
      image: `/api/images/${seed}-${index}.png`,
      width: 100,
      height: 80,
      coverage: 0.3,
    })),
    width: 100,
    height: 80,
    seed,
    prompt: "",
    engine: "qwen",
    score: { psnr: 40, useful: count, layers: [] },
  });

const first = decomposed(PICTURE, answer(2, 1), "a").apply({ ...EMPTY_DOC, picture: PICTURE });
const moved = setOpacity(first.layers[1], 0.25).apply(first);
const second = decomposed(PICTURE, answer(3, 2), "b").apply(moved);
const told = (doc) => resultsOf(doc).map(({ number, layers }) => [number, layers.length]);

test("an earlier result waits, with what was made of it, and can be gone back to", () => {
  assert.deepEqual(told(first), [[1, 2]]);
  assert.deepEqual(
    [second.layers.length, second.number, told(second)],
    [
      3,
      2,
      [
        [1, 2],
        [2, 3],
      ],
    ],
  );
  const back = useResult(1).apply(second);
  assert.deepEqual([back.seed, back.composite, back.score?.useful], [1, "/api/images/1-0.png", 2]);
  assert.equal(back.layers[1].opacity, 0.25);
  assert.deepEqual(told(back), told(second));
  const faded = setOpacity(back.layers[0], 0.5).apply(back);
  const third = decomposed(PICTURE, answer(1, 3), "c").apply(faded);
  assert.deepEqual(told(third), [
    [1, 2],
    [2, 3],
    [3, 1],
  ]);
  assert.equal(useResult(1).apply(third).layers[0].opacity, 0.5);
  assert.equal(useResult(9).apply(third), third);
});

test("another picture starts over, and of many results the oldest go", () => {
  const other = { ...PICTURE, image: "/api/images/other.png" };
  assert.deepEqual(told(openPicture(other).apply(second)), []);
  assert.deepEqual(told(decomposed(other, answer(1, 3), "c").apply(second)), [[1, 1]]);
  let doc = second;
  for (let seed = 3; seed < 12; seed += 1) doc = decomposed(PICTURE, answer(1, seed), `r${seed}`).apply(doc);
  assert.deepEqual(
    resultsOf(doc).map(({ number }) => number),
    [4, 5, 6, 7, 8, 9, 10, 11],
  );
});

test("an edit that ends late is kept by a layer that waits, and all of it by the project", () => {
  const version = /** @type {any} */ ({ ...moved.layers[1].versions[0], image: "/api/images/blue.png", instruction: "blue" });
  const { timeline, index } = addVersion({ doc: second, past: [], future: [] }, "a-2", version);
  assert.equal(index, 1);
  const kept = unpack(JSON.parse(JSON.stringify(pack(timeline))));
  assert.deepEqual(kept, timeline);
  assert.equal(useResult(1).apply(kept.doc).layers[1].versions[1].image, "/api/images/blue.png");
  const before = JSON.parse(JSON.stringify(pack({ doc: first, past: [], future: [] })));
  before.doc.others = undefined;
  assert.deepEqual(unpack(before).doc.others, []);
});

/** What the stage shows of a run that shows layers 1 and 2, of which the second is not there yet unless all are. */
function shownOf(purpose, held = (key, url) => (key.endsWith(" 1") ? url : null)) {
  const previews = { 2: "/previews/2.png", 1: "/previews/1.png" };
  const jobs = { job: { job: { id: "job" }, purpose, previews, canceling: false, movedAt: 0 } };
  const found = previewOf(/** @type {any} */ ({ doc: docOf("a", "b:G", "c"), jobs }), held);
  return found && { ids: stackOf(found.doc), images: found.doc.layers.map(({ image }) => image) };
}

test("a run shows what it makes where that is going to be, as far as it has come", () => {
  const all = (_key, url) => url;
  const apart = { kind: "decompose", picture: PICTURE };
  assert.deepEqual(shownOf(apart), { ids: ["preview-1"], images: ["/previews/1.png"] });
  assert.deepEqual(shownOf(apart, all).images, ["/previews/1.png", "/previews/2.png"]);
  assert.deepEqual(shownOf({ kind: "edit", layerId: "b" }), {
    ids: ["a", "b:G", "c"],
    images: ["/api/images/a.png", "/previews/1.png", "/api/images/c.png"],
  });
  assert.deepEqual(shownOf({ kind: "split", layerId: "b" }, all).ids, ["a", "preview-1:G", "preview-2:G", "c"]);
  assert.equal(shownOf({ kind: "edit", layerId: "gone" }), null);
  assert.equal(
    shownOf(apart, () => null),
    null,
  );
});
