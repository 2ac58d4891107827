import { newId } from "../state/doc.js";
import { boxAmid, boxAround, roomFor, thingAt, thingsOn } from "../state/things.js";

/** Saying what is to be a layer of its own. @param {Context} context */
export function createThings({ store }) {
  /** @type {ViewPatch} */
  const inHand = { tool: { kind: "things" }, mode: "layers", notice: null };

  /** @param {readonly Thing[]} boxes @param {ViewPatch} [patch] */
  function setThings(boxes, patch) {
    const { doc, settings } = store.state;
    if (doc.picture === null) return;
    store.update({ settings: { ...settings, things: { picture: doc.picture.image, boxes } }, thingsError: null, ...patch });
  }

  /** Which box is being named or moved; it shows on the stage. @param {string | null} thing */
  const pickThing = (thing) => store.update(thing === null ? { thing } : { thing, ...inHand });

  return {
    setThings,
    pickThing,

    /** @param {Point} place   in the document */
    pickThingAt: (place) => {
      const { doc, settings } = store.state;
      pickThing(thingAt(thingsOn(settings, doc.picture), place, doc)?.id ?? null);
    },

    /** Add a box, where there is a layer for it, and go on to its name. @param {readonly Point[]} [places]   in the document; a box in the middle, if they are left out */
    addThing: (places) => {
      const { doc, settings } = store.state;
      if (doc.picture === null || roomFor(store.state) <= 0) return;
      const things = thingsOn(settings, doc.picture);
      const box = places === undefined ? boxAmid(doc.picture, things.length) : boxAround(places, doc);
      const id = newId();
      if (box !== null) setThings([...things, { ...box, id, name: "" }], { thing: id, ...inHand });
    },
  };
}
