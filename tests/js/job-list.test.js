import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createJobList } from "../../static/js/actions/job-list.js";
import { createJobs } from "../../static/js/actions/jobs.js";
import { EMPTY_DOC } from "../../static/js/state/doc.js";
import { notedJobs } from "../../static/js/state/snapshot.js";
import { ApiError } from "../../static/js/transport/api.js";
import { clock, storedKeys } from "./browser.js";
import { contextOf, PROJECT, settle } from "./page.js";

const job = (id, more = {}) => ({ id, kind: "edit", status: "processing", step: 1, total: 4, result: null, error: null, ...more });
const EDIT = { kind: /** @type {const} */ ("edit"), layerId: "a", before: "", instruction: "make it blue", shape: "keep", seed: 1 };

/** A page that has asked for an edit of layer "a" and for a decomposition, with a server that lists what it is told to, in a browser that kept nothing. */
function start() {
  for (const key of storedKeys()) localStorage.removeItem(key);
  const server = { list: [job("edit"), job("apart", { kind: "decompose", status: "queued" })], canceled: [], gone: false };
  const api = {
    jobs: async () => {
      if (server.gone) throw new ApiError("The server cannot be reached.");
      return server.list;
    },
    cancel: async (id) => server.canceled.push(id),
  };
  const context = { ...contextOf({ api }), tryTo: (work) => work() };
  const { store } = context;
  const jobs = createJobs(context);
  jobs.track(server.list[0], EDIT);
  jobs.track(server.list[1], { kind: "decompose", picture: store.state.doc.picture });
  const opened = [];
  const openProject = async (id) => {
    opened.push(id);
    store.update({ project: { ...PROJECT, id } });
  };
  const list = createJobList(context, /** @type {any} */ ({ jobs, actions: { listProjects: async () => {}, openProject } }));
  return { server, store, list, opened };
}

test("what this browser asks for is noted with its project, until the server has forgotten it", async () => {
  const { server, list } = start();
  assert.deepEqual(notedJobs(), {
    edit: { project: "p", projectName: "Tree", layerId: "a", name: "A", instruction: "make it blue" },
    apart: { project: "p", projectName: "Tree" },
  });
  server.list = [server.list[0]];
  await list.watchJobs(true);
  list.watchJobs(false);
  assert.deepEqual(Object.keys(notedJobs()), ["edit"]);
});

test("the list is kept up to date while it is looked at, and says when it cannot be", async () => {
  const { server, store, list } = start();
  await list.watchJobs(true);
  assert.equal(store.state.jobList.length, 2);
  server.gone = true;
  clock.tick(2000);
  await settle();
  assert.match(store.state.jobsError, /cannot be reached/);
  assert.equal(store.state.jobList.length, 2);
  server.gone = false;
  server.list = [job("edit", { status: "succeeded" })];
  clock.tick(2000);
  await settle();
  assert.deepEqual([store.state.jobList[0].status, store.state.jobsError], ["succeeded", null]);
  list.watchJobs(false);
  server.list = [];
  clock.tick(9000);
  await settle();
  assert.equal(store.state.jobList.length, 1);
});

test("jobs of any tab are canceled", async () => {
  const { server, list } = start();
  await list.cancelJobs(["edit", "of another tab"]);
  assert.deepEqual(server.canceled, ["edit", "of another tab"]);
});

test("a result is opened where it is: in the edit window of its layer, in its project", async () => {
  const { server, store, list, opened } = start();
  await list.openJob(server.list[0]);
  assert.deepEqual([opened, store.state.editing], [[], "a"]);
  store.update({ editing: null, project: { ...PROJECT, id: "another" } });
  await list.openJob(server.list[0]);
  assert.deepEqual([opened, store.state.editing], [["p"], "a"]);
});

test("a try that failed is shown, and a layer that is gone opens nothing", async () => {
  const { store, list } = start();
  store.update({ edits: { a: { tries: [{ id: "edit" }] } } });
  await list.openJob(job("edit", { status: "failed" }));
  assert.equal(store.state.edits.a.chosen, "edit");
  store.load({ doc: EMPTY_DOC, past: [], future: [] }, { editing: null });
  await list.openJob(job("edit", { status: "failed" }));
  assert.equal(store.state.editing, null);
});
