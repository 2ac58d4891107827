import { h } from "../../dom.js";
import { contentBox } from "../../images/pixels.js";
import { scaleTo } from "../../state/commands.js";
import { placeBox } from "../../state/doc.js";

/** Each corner, and where the one across lies, as shares of the box. */
const CORNERS = /** @type {const} */ ([
  ["nw", 1, 1],
  ["ne", 0, 1],
  ["sw", 1, 0],
  ["se", 0, 0],
]);

/** The frame around what there is to see of the selected layer; its corners scale the layer about the corner across. @param {Actions} actions */
export function createStageFrame(actions) {
  /** @type {{layer: Layer, box: Box, camera: Camera} | null} */
  let shown = null;
  const handles = CORNERS.map(([corner, ...across]) => {
    const handle = h("div", { class: `stage-handle ${corner}` });
    handle.addEventListener("pointerdown", (event) => scale(event, handle, across));
    return handle;
  });
  const element = h("div.stage-outline", { hidden: true }, ...handles);

  /** @param {PointerEvent} down @param {HTMLElement} handle @param {readonly number[]} across */
  function scale(down, handle, [right, bottom]) {
    if (shown === null || down.button !== 0) return;
    down.stopPropagation();
    down.preventDefault();
    const { layer, box, camera } = shown;
    const still = { x: box.x + right * box.width, y: box.y + bottom * box.height };
    const diagonal = Math.hypot(box.width, box.height) * camera.scale;
    // Only the way along the diagonal counts, so the corner stays under a pointer that strays from it.
    const [ux, uy] = [((1 - 2 * right) * box.width * camera.scale) / diagonal, ((1 - 2 * bottom) * box.height * camera.scale) / diagonal];
    const follow = (/** @type {PointerEvent} */ event) => {
      const along = (event.clientX - down.clientX) * ux + (event.clientY - down.clientY) * uy;
      actions.run(scaleTo(layer, layer.scale * Math.max(0.01, 1 + along / diagonal), still));
    };
    const end = () => {
      handle.removeEventListener("pointermove", follow);
      actions.endGesture();
    };
    handle.setPointerCapture(down.pointerId);
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("lostpointercapture", end, { once: true });
  }

  return {
    element,
    /** @param {Point} point   of the stage */
    covers: ({ x, y }) => {
      if (shown === null) return false;
      const { box, camera } = shown;
      const [left, top] = [(x - camera.x) / camera.scale - box.x, (y - camera.y) / camera.scale - box.y];
      return left >= 0 && top >= 0 && left <= box.width && top <= box.height;
    },
    /** @param {Layer | null} layer @param {ImageBitmap | null} bitmap @param {Camera} camera   in CSS pixels */
    render: (layer, bitmap, camera) => {
      element.hidden = layer === null || bitmap === null;
      shown = null;
      if (layer === null || bitmap === null) return;
      const box = placeBox(layer, inLayer(layer, contentBox(bitmap), bitmap));
      shown = { layer, box, camera };
      element.classList.toggle("small", Math.min(box.width, box.height) * camera.scale < 56);
      place(element, box, camera);
    },
  };
}

/**
 * A box of the bitmap in the layer's pixels, which are the same unless the server sent another size.
 * @param {Layer} layer
 * @param {Box} box
 * @param {ImageBitmap} bitmap
 */
function inLayer(layer, box, bitmap) {
  const [sx, sy] = [layer.width / bitmap.width, layer.height / bitmap.height];
  return { x: box.x * sx, y: box.y * sy, width: box.width * sx, height: box.height * sy };
}

/** Lay an element over a part of the picture. @param {HTMLElement} target @param {Box} box @param {Camera} camera */
export function place(target, box, camera) {
  Object.assign(target.style, {
    left: `${camera.x + box.x * camera.scale}px`,
    top: `${camera.y + box.y * camera.scale}px`,
    width: `${box.width * camera.scale}px`,
    height: `${box.height * camera.scale}px`,
  });
}
