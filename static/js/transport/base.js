/** The path below which this page's service is: "" at the root of its host, "/studio" behind a proxy that has it there. */
export const base = new URL("../../..", import.meta.url).pathname.slice(0, -1);
