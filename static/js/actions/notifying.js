import { t } from "../i18n.js";
import { keepNotifying, wantsNotifications } from "../state/snapshot.js";

/** The end of a run for those who look elsewhere: in the title, and as a notification if they asked for it. */

/** Shorter runs are over before one has gone elsewhere. */
const LONG_S = 10;

/** Whether the browser has refused to show one: Chrome on Android shows them only for pages with a service worker. */
let refused = false;

/** Whether notifications are shown, or why they cannot be. @returns {"on" | "off" | "blocked" | "missing"} */
export function notifying() {
  if (refused || !("Notification" in window) || !isSecureContext) return "missing";
  if (Notification.permission === "denied") return "blocked";
  return wantsNotifications() && Notification.permission === "granted" ? "on" : "off";
}

/** Turn notifications on or off. The browser asks first; the first notification shows that they come. @param {boolean} on */
export async function setNotifying(on) {
  const allowed = on && notifying() === "off" && (await Notification.requestPermission()) === "granted";
  keepNotifying(allowed && show(t("name"), { body: t("notify.first") }));
}

/** @param {Store} store @param {Job} job @param {number} seconds   how long it took */
export function announceEnd(store, job, seconds) {
  if (!document.hidden || job.status === "canceled") return;
  const failed = job.status === "failed";
  store.update({ unseen: failed ? "failed" : "done" });
  if (seconds < LONG_S || notifying() !== "on") return;
  const body = failed ? (job.error?.message ?? t("error.unexpected")) : t("notify.done");
  // Two windows with the same project show one notification.
  show(store.state.project?.name ?? t("name"), { body, tag: job.id });
}

/** @param {string} title @param {NotificationOptions} options @returns {boolean} */
function show(title, options) {
  try {
    const notification = new Notification(title, options);
    notification.onclick = () => {
      focus();
      notification.close();
    };
  } catch {
    refused = true;
  }
  return !refused;
}
