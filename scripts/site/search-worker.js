// Browsers start no workers from files. On a site that is opened from the disk, the search runs in a hidden frame.
if (location.protocol === "file:") {
  // As between threads: a message is a copy, and comes later.
  const later = (data, receive) => {
    const copy = structuredClone(data);
    setTimeout(() => receive(new MessageEvent("message", { data: copy })));
  };

  window.Worker = class {
    #frame = document.createElement("iframe");
    #ready;

    constructor(url) {
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const inside = this.#frame.contentWindow;
      inside.postMessage = (data) => later(data, (event) => this.onmessage?.(event));
      const script = inside.document.createElement("script");
      script.src = url;
      this.#ready = new Promise((done) => {
        script.onload = () => done(inside);
      });
      inside.document.body.append(script);
    }

    async postMessage(data) {
      const inside = await this.#ready;
      later(data, (event) => inside.dispatchEvent(event));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
