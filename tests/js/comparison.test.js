import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createComparison } from "../../static/js/actions/comparison.js";
import { createHistory } from "../../static/js/actions/start.js";
import { setVisible } from "../../static/js/state/commands.js";
import { pairOf } from "../../static/js/state/store.js";
import { clock } from "./browser.js";
import { contextOf, settle } from "./page.js";

/** A page on which a layer was hidden, shown and hidden again. */
function start() {
  const context = contextOf();
  const history = createHistory(context);
  const docs = [context.store.state.doc];
  for (const visible of [false, true, false]) {
    history.run(setVisible([context.store.state.doc.layers[0]], visible));
    docs.push(context.store.state.doc);
  }
  return { store: context.store, history, docs, actions: createComparison(context) };
}

const shown = (store) => pairOf(store.state)?.map(({ index }) => index) ?? null;

test("a marked state is compared with the current one, wherever the history is gone to", async () => {
  const { store, history, docs, actions } = start();
  actions.walk(true);
  actions.markState(docs[0]);
  actions.turnToPair();
  assert.deepEqual([shown(store), store.state.mode], [[0, 3], "slider"]);
  history.goTo(1);
  assert.deepEqual(shown(store), [0, 1]);
  actions.measureSoon();
  clock.tick(1000);
  await settle();
  assert.equal(store.state.measured.share, 0); // both pictures of a test have one color
  actions.walk(false);
  actions.turnToPair();
  assert.deepEqual([shown(store), store.state.mode, store.state.walking], [null, "layers", false]);
});

test("of three marks the first one goes, and a change ends the comparing of two states", () => {
  const { store, history, docs, actions } = start();
  for (const doc of docs.slice(0, 3)) actions.markState(doc);
  assert.deepEqual(shown(store), [1, 2]);
  actions.markState(docs[1]);
  assert.deepEqual(shown(store), [2, 3]);
  actions.markState(docs[0]);
  history.run(setVisible([store.state.doc.layers[1]], false));
  assert.equal(shown(store), null);
});
