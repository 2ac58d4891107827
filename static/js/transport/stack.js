/** The layers as the composite and export requests take them, bottom to top. @param {Doc} doc */
export const stackOf = ({ layers }) =>
  layers.map(({ image, name, opacity, visible, x, y, scale, flipX, flipY, blend, group }) =>
    ({ image, name, opacity, visible, x, y, scale, flip_x: flipX, flip_y: flipY, blend, group }));
