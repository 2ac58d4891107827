// @ts-check
const POLL_MS = 10_000;
const POLL_GONE_MS = 3_000;

/** Watching the server: which engine it runs, how long its queue is, whether it is there. @param {import("./actions.js").Context} context */
export function createService({ store, api }) {
  let timer = 0;

  async function checkService() {
    clearTimeout(timer);
    try {
      const status = await api.status();
      const changed = JSON.stringify(status) !== JSON.stringify(store.state.status);
      if (changed || !store.state.reachable) store.update({ status, reachable: true });
    } catch {
      if (store.state.reachable) store.update({ reachable: false });
    }
    clearTimeout(timer);
    timer = setTimeout(checkService, store.state.reachable ? POLL_MS : POLL_GONE_MS);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") checkService();
    else clearTimeout(timer);
  });
  return { checkService };
}
