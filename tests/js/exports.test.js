import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createExports } from "../../static/js/actions/exports.js";
import { contextOf, settle } from "./page.js";

/** A browser that shares as a test says. @param {object} about */
const browserWith = (about) => Object.defineProperty(globalThis, "navigator", { value: about, configurable: true });

/** What can be taken home of a page with one layer, and what was shared. @param {Error[]} refusals   of the shares to come */
function start(...refusals) {
  const shared = [];
  const share = async ({ files }) => {
    const refusal = refusals.shift();
    if (refusal !== undefined) throw refusal;
    shared.push(...files);
  };
  browserWith({ share, canShare: ({ files }) => files[0].type === "image/png" });
  const context = contextOf({ api: { image: async () => new Blob(["a layer"], { type: "image/png" }) } });
  const actions = createExports({ ...context, tryTo: (work) => work() });
  return { shared, actions, store: context.store };
}

/** @param {string} name */
const refusal = (name) => Object.assign(new Error(), { name });

test("the picture and a layer are shared as PNG files with their names", async () => {
  const { shared, actions, store } = start();
  assert.ok(actions.canShare());
  await actions.sharePicture();
  await actions.shareLayer({ ...store.state.doc.layers[0], name: "Red / hat" });
  assert.deepEqual(
    shared.map(({ name, type }) => [name, type]),
    [
      ["Tree.png", "image/png"],
      ["Red - hat.png", "image/png"],
    ],
  );
  assert.equal(store.state.notice, null);
});

test("who thinks better of sharing hears nothing, who waited too long is asked again", async () => {
  const { shared, actions, store } = start(refusal("AbortError"), refusal("NotAllowedError"));
  await actions.sharePicture();
  assert.equal(store.state.notice, null);
  await actions.sharePicture();
  assert.match(store.state.notice.text, /ready to share/);
  assert.deepEqual(shared, []);
  store.state.notice.action.run();
  await settle();
  assert.equal(shared.length, 1);
});

test("a share that fails offers the file, and a browser without sharing offers no share", async () => {
  const { actions, store } = start(refusal("DataError"));
  await actions.sharePicture();
  assert.equal(store.state.notice.action.label, "Save PNG");
  browserWith({});
  assert.ok(!actions.canShare());
});
