import { initialState } from "../../static/js/state/initial.js";
import { Store } from "../../static/js/state/store.js";
import { ApiError } from "../../static/js/transport/api.js";
import { docOf, timelineOf } from "./documents.js";

/** A page without views, with a server that is told what to answer. */

/** Let everything happen that waits for nothing but its turn. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

export const PROJECT = { id: "p", name: "Tree", version: 1, thumbnail: "/api/images/t.png" };

/** A project of the server: written in turn, refused when somebody else was quicker, or as a test has it. */
export class Kept {
  document = {};
  version = PROJECT.version;
  writes = 0;
  /** @type {(() => void) | null} throws, in place of what follows it */
  fault = null;
  /** What was written is lost on its way back. */
  loses = false;

  async write(_id, { document, version }) {
    this.writes += 1;
    this.fault?.();
    if (version !== this.version) throw new ApiError("Somebody else has changed it.", { status: 409, code: "project_changed" });
    this.by(document);
    if (this.loses) throw new ApiError("The server cannot be reached.");
    return { version: this.version };
  }

  async read(id) {
    return { id, name: PROJECT.name, document: this.document, version: this.version };
  }

  /** Somebody writes. */
  by(document) {
    this.document = JSON.parse(JSON.stringify(document));
    this.version += 1;
  }
}

/**
 * The context of actions: layers "a" and "b" in a project, and pictures of one color each, by address.
 * @param {{api?: object, pixels?: Record<string, number[]>, state?: object}} [about]
 */
export function contextOf({ api = {}, pixels = {}, state = {} } = {}) {
  const store = new Store({ ...initialState(), ...timelineOf(docOf("a", "b")), project: PROJECT, ...state });
  const load = async (address) => ({ width: 2, height: 2, pixel: pixels[address] ?? [9, 9, 9, 255] });
  const server = { upload: async () => ({ image: "/api/images/t.png" }), eventsUrl: (id) => `/api/jobs/${id}/events`, ...api };
  const context = { store, api: server, bitmaps: { load, peek: () => null, awaits: () => false, pin: () => {} } };
  return /** @type {any} */ (context);
}
