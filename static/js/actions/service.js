const POLL_MS = 10_000;
const POLL_SOON_MS = 3_000;

/** Watching the server: which engine it runs, how long its queue is, whether it is there. @param {Context} context */
export function createService({ store, api }) {
  let timer = 0;

  const isSettled = () => store.state.reachable && store.state.status?.state !== "loading";

  async function checkService() {
    clearTimeout(timer);
    try {
      const status = await api.status();
      if (store.state.config?.engine !== status.engine) store.update({ config: await api.config() });
      const changed = JSON.stringify(status) !== JSON.stringify(store.state.status);
      if (changed || !store.state.reachable) store.update({ status, reachable: true });
    } catch {
      if (store.state.reachable) store.update({ reachable: false });
    }
    clearTimeout(timer);
    timer = setTimeout(checkService, isSettled() ? POLL_MS : POLL_SOON_MS);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") checkService();
    else clearTimeout(timer);
  });
  return { checkService };
}
