/** The layers as the composite and export requests take them, bottom to top. What a layer has by default is left out. @param {Doc} doc */
export const stackOf = ({ layers }) =>
  layers.map(({ image, name, opacity, visible, x, y, scale, flipX, flipY, blend, group }) => ({
    image,
    name,
    opacity,
    visible,
    x,
    y,
    ...(blend === "normal" ? {} : { blend }),
    ...(scale === 1 ? {} : { scale }),
    ...(flipX ? { flip_x: true } : {}),
    ...(flipY ? { flip_y: true } : {}),
    ...(group === "" ? {} : { group }),
  }));
