/** An id that nothing else has. `crypto.randomUUID` is missing on plain HTTP, random bytes are not. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
