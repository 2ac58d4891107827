const MAX_KEPT = 26;

/** Decoded pictures by address, the most recently used kept. An address names its content, so nothing goes stale. @param {Api} api */
export function createBitmaps(api) {
  /** @type {Map<string, Promise<ImageBitmap>>} */
  const kept = new Map();
  /** @type {WeakMap<Promise<ImageBitmap>, ImageBitmap>} */
  const decoded = new WeakMap();

  /** @type {Set<string>} */
  let pinned = new Set();

  /** @param {string} address */
  function load(address) {
    const known = kept.get(address);
    kept.delete(address);
    const loading = known ?? api.image(address).then((blob) => createImageBitmap(blob));
    kept.set(address, loading);
    if (known === undefined) loading.then((bitmap) => decoded.set(loading, bitmap), () => kept.delete(address));
    const spare = [...kept.keys()].filter((other) => !pinned.has(other));
    for (const oldest of spare.slice(0, -MAX_KEPT)) kept.delete(oldest);
    return loading;
  }

  return {
    load,
    /** What is on the stage stays, however much it is. @param {Iterable<string>} addresses */
    pin: (addresses) => {
      pinned = new Set(addresses);
    },
    /** Whether the picture is on its way. @param {string} address */
    awaits: (address) => {
      const loading = kept.get(address);
      return loading !== undefined && !decoded.has(loading);
    },
    /** The picture if it is there already. @param {string} address */
    peek: (address) => {
      const loading = kept.get(address);
      return (loading && decoded.get(loading)) ?? null;
    },
  };
}
