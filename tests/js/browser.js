/** What the page's modules ask of a browser, as far as actions need it. Imported first, before any module of the page. */
import { readFile } from "node:fs/promises";

const events = new EventTarget();
const kept = new Map();

/** Time that passes when it is told to. */
export const clock = {
  now: 1_000_000,
  timers: new Map(),
  /** Let so many milliseconds pass. @param {number} ms */
  tick(ms) {
    const end = clock.now + ms;
    for (;;) {
      const [id, due] = [...clock.timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [0, { at: Number.POSITIVE_INFINITY }];
      if (due.at > end) break;
      clock.timers.delete(id);
      clock.now = due.at;
      due.run();
    }
    clock.now = end;
  },
};
Date.now = () => clock.now;
let timers = 0;

/** A canvas that holds one color: that of the picture drawn last. */
function canvas() {
  let pixel = [0, 0, 0, 0];
  const drawing = {
    drawImage: (picture) => {
      pixel = picture.pixel ?? pixel;
    },
    getImageData: (_x, _y, width, height) => ({ data: Uint8ClampedArray.from({ length: width * height * 4 }, (_, i) => pixel[i % 4]) }),
  };
  const context = new Proxy(drawing, { get: (own, name) => own[name] ?? (() => {}), set: () => true });
  const element = { getContext: () => context, toBlob: (done) => done(new Blob(["a picture"])) };
  Object.assign(drawing, { canvas: element });
  return element;
}

/** A channel that reaches nobody: every test is a tab of its own. */
class Channel extends EventTarget {
  postMessage() {}
}

/** The streams that are open, by address; `tell` sends an event. */
export const streams = new Map();
class Stream extends EventTarget {
  static CLOSED = 2;
  readyState = 1;

  constructor(address) {
    super();
    streams.set(address, this);
  }

  close() {
    this.readyState = Stream.CLOSED;
  }

  tell(name, data) {
    this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data) }));
  }
}

const storage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
};

const page = {
  document: { documentElement: { lang: "en" }, visibilityState: "visible", addEventListener: () => {}, createElement: canvas },
  addEventListener: events.addEventListener.bind(events),
  dispatchEvent: events.dispatchEvent.bind(events),
  BroadcastChannel: Channel,
  EventSource: Stream,
  localStorage: storage,
  setTimeout: (run, ms = 0) => {
    timers += 1;
    clock.timers.set(timers, { at: clock.now + ms, run });
    return timers;
  },
  clearTimeout: (id) => clock.timers.delete(id),
  fetch: async (address) => ({ json: async () => JSON.parse(await readFile(address, "utf8")) }),
};
for (const [name, value] of Object.entries(page)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

/** What this browser keeps. */
export const storedKeys = () => [...kept.keys()];
