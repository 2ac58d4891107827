import { h } from "../../dom.js";
import { contentBox, drawCrop, grow } from "../../images/pixels.js";

const MARGIN = 0.04;

/** A small picture of what there is to see of a layer, cropped tightly. @param {Bitmaps} bitmaps */
export function createThumb(bitmaps) {
  const element = h("canvas.thumb-picture");
  let drawn = "";
  return {
    element,
    /** @param {string} image */
    draw: (image) => {
      if (drawn === image) return;
      drawn = image;
      bitmaps.load(image).then(
        (bitmap) => drawn === image && drawCrop(element, bitmap, grow(contentBox(bitmap), MARGIN, bitmap)),
        () => (drawn = ""),
      );
    },
  };
}
