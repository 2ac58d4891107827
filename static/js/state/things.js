import { capabilitiesOf, settingsOf } from "./initial.js";

/** Boxes with names: what is in each becomes a layer of its own, by an engine that can be told so. */

/** Whether the engine can be told. @param {State} state */
export const takesThings = (state) => capabilitiesOf(state).decompose.includes("regions");

/** The boxes on a picture; those on another one mean nothing on it. @param {Partial<Settings>} settings @param {{image: string} | null} picture @returns {readonly Thing[]} */
export const thingsOn = ({ things }, picture) => (picture !== null && things?.picture === picture.image ? things.boxes : []);

/** How many more boxes there is a layer for, negative where there are too many: one layer is for the rest. @param {State} state */
export const roomFor = (state) => settingsOf(state).layerNum - 1 - thingsOn(state.settings, state.doc.picture).length;

/** Whether boxes keep the picture from being taken apart. @param {State} state */
export const hasTooMany = (state) => takesThings(state) && roomFor(state) < 0 && thingsOn(state.settings, state.doc.picture).length > 0;

/** @param {readonly Thing[]} things @returns {Wire.NamedRegion[]} */
export const regionsOf = (things) =>
  things.map(({ x, y, width, height, name }) => ({ box: [x, y, x + width, y + height], name: name.trim() }));
