/**
 * Draw a layer where it lies, as it looks. The context is in pixels of the document, and left as it was.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Layer} layer
 * @param {CanvasImageSource} picture   of the layer, at any resolution
 */
export function drawLayer(context, { x, y, width, height, scale, flipX, flipY, opacity, blend }, picture) {
  context.save();
  context.globalAlpha = opacity;
  context.globalCompositeOperation = blend === "normal" ? "source-over" : blend;
  context.translate(x, y);
  context.scale(scale, scale);
  if (flipX || flipY) {
    context.translate(flipX ? width : 0, flipY ? height : 0);
    context.scale(flipX ? -1 : 1, flipY ? -1 : 1);
  }
  context.drawImage(picture, 0, 0, width, height);
  context.restore();
}
