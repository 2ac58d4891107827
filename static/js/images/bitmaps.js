const MAX_KEPT = 26;

/** Decoded pictures by address, the most recently used kept. An address identifies its content, so nothing becomes stale. @param {Api} api */
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
    if (known === undefined)
      loading.then(
        (bitmap) => decoded.set(loading, bitmap),
        () => kept.delete(address),
      );
    const spare = [...kept.keys()].filter((other) => !pinned.has(other));
    for (const oldest of spare.slice(0, -MAX_KEPT)) kept.delete(oldest);
    return loading;
  }

  return {
    load,
    /** Keep the pictures on the stage, regardless of the limit. @param {Iterable<string>} addresses */
    pin: (addresses) => {
      pinned = new Set(addresses);
    },
    /** Whether the picture is loading. @param {string} address */
    awaits: (address) => {
      const loading = kept.get(address);
      return loading !== undefined && !decoded.has(loading);
    },
    /** The picture if it is loaded. @param {string} address */
    peek: (address) => {
      const loading = kept.get(address);
      return (loading && decoded.get(loading)) ?? null;
    },
  };
}

/**
 * Pictures that replace each other, such as previews: the last one stays until the next one is loaded, so that nothing
 * flickers.
 *
 * @param {Bitmaps} bitmaps
 * @param {() => void} onready   called after another picture is loaded
 */
export function createHeld(bitmaps, onready) {
  /** @type {Map<string, string>} */
  const latest = new Map();
  /** @type {Set<string>} requested addresses, so that missing ones, such as previews of ended jobs, are not requested repeatedly */
  const asked = new Set();
  return (/** @type {string} */ key, /** @type {string} */ address) => {
    if (bitmaps.peek(address) !== null) latest.set(key, address);
    else if (!asked.has(address)) bitmaps.load(address).then(onready, () => {});
    asked.add(address);
    return latest.get(key) ?? null;
  };
}

/**
 * Mipmaps of pictures, each half as wide as the one before: a picture drawn at a quarter of its size need not be
 * read at full size for every frame.
 *
 * @param {() => void} onready   called after another copy is made
 */
export function createLevels(onready) {
  /** @type {WeakMap<ImageBitmap, Map<number, ImageBitmap | null>>} null during creation */
  const copies = new WeakMap();

  /** @param {ImageBitmap} bitmap @param {number} level */
  async function make(bitmap, level) {
    const made = copies.get(bitmap) ?? new Map();
    copies.set(bitmap, made.set(level, null));
    const size = { resizeWidth: Math.max(1, bitmap.width >> level), resizeHeight: Math.max(1, bitmap.height >> level) };
    made.set(level, await createImageBitmap(bitmap, { ...size, resizeQuality: "high" }).catch(() => bitmap));
    onready();
  }

  /**
   * The smallest existing copy that is sharp at a scale.
   * @param {ImageBitmap} bitmap
   * @param {number} scale   device pixels per pixel of the picture
   */
  return (bitmap, scale) => {
    const smallest = Math.floor(Math.log2(Math.max(1, Math.min(bitmap.width, bitmap.height))));
    const level = Math.min(smallest, Math.max(0, Math.floor(Math.log2(1 / scale))));
    if (level === 0) return bitmap;
    const made = copies.get(bitmap);
    if (made?.get(level) === undefined) make(bitmap, level);
    for (let sharper = level; sharper > 0; sharper -= 1) {
      const copy = made?.get(sharper);
      if (copy) return copy;
    }
    return bitmap;
  };
}
