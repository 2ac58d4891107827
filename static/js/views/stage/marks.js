import { canvas2d } from "../../images/pixels.js";

/** What is shown over the picture, in pixels of the screen. */

const sheet = canvas2d(1, 1);

/** All but what is selected lies under a veil, and a line in black and white goes around it. @param {CanvasRenderingContext2D} context @param {HTMLCanvasElement} mask @param {Extent} doc @param {Camera} camera */
export function drawMask(context, mask, { width, height }, { scale, x, y }) {
  const ratio = devicePixelRatio;
  const lay = (/** @type {CanvasRenderingContext2D} */ on, /** @type {number} */ dx, /** @type {number} */ dy) =>
    on.drawImage(mask, x + dx, y + dy, width * scale, height * scale);
  context.save();
  context.fillStyle = "rgb(12 10 30 / 55%)";
  context.fillRect(x, y, width * scale, height * scale);
  context.globalCompositeOperation = "destination-out";
  lay(context, 0, 0);
  context.restore();
  for (const [reach, color] of /** @type {[number, string][]} */ ([
    [2.2 * ratio, "#17171c"],
    [1.2 * ratio, "#fff"],
  ])) {
    Object.assign(sheet.canvas, { width: context.canvas.width, height: context.canvas.height });
    for (let turn = 0; turn < 8; turn += 1) lay(sheet, reach * Math.cos((turn * Math.PI) / 4), reach * Math.sin((turn * Math.PI) / 4));
    sheet.globalCompositeOperation = "source-in";
    sheet.fillStyle = color;
    sheet.fillRect(0, 0, sheet.canvas.width, sheet.canvas.height);
    sheet.globalCompositeOperation = "destination-out";
    lay(sheet, 0, 0);
    context.drawImage(sheet.canvas, 0, 0);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Mark} mark @param {Camera} camera */
export function drawMark(context, { kind, takesAway, places }, { scale, x, y }) {
  const ratio = devicePixelRatio;
  const at = places.map((place) => ({ x: place.x * scale + x, y: place.y * scale + y }));
  context.beginPath();
  if (kind === "box") context.rect(at[0].x, at[0].y, at[1].x - at[0].x, at[1].y - at[0].y);
  else if (kind === "line") for (const place of at) context.lineTo(place.x, place.y);
  else context.arc(at[0].x, at[0].y, 5 * ratio, 0, 2 * Math.PI);
  const color = takesAway ? "#ff6b5f" : "#8f89ff";
  context.setLineDash(kind === "box" ? [6 * ratio, 4 * ratio] : []);
  outline(context, kind === "point" ? "#fff" : color, ratio);
  if (kind !== "point") return;
  context.fillStyle = color;
  context.fill();
}

/** @param {CanvasRenderingContext2D} context @param {Point | null} at @param {number} size @param {Camera} camera */
export function drawRing(context, at, size, { scale, x, y }) {
  if (at === null) return;
  context.beginPath();
  context.arc(at.x * scale + x, at.y * scale + y, (size / 2) * scale, 0, 2 * Math.PI);
  context.setLineDash([]);
  outline(context, "#fff", devicePixelRatio);
}

/** Boxes with their numbers and names, the picked one on top. @param {CanvasRenderingContext2D} context @param {readonly Thing[]} things @param {string | null} picked @param {Doc} doc @param {Camera} camera */
export function drawThings(context, things, picked, { picture, width, height }, { scale, x, y }) {
  if (picture === null) return;
  const ratio = devicePixelRatio;
  const [across, down] = [(scale * width) / picture.width, (scale * height) / picture.height];
  const numbered = things.map((thing, index) => ({ ...thing, index }));
  for (const box of numbered.sort((a, b) => Number(a.id === picked) - Number(b.id === picked))) {
    const [color, ground, ink] = box.id === picked ? ["#8f89ff", "#8f89ff", "#12102b"] : ["#fff", "rgb(18 18 24 / 80%)", "#fff"];
    const [left, top] = [x + box.x * across, y + box.y * down];
    context.beginPath();
    context.rect(left, top, box.width * across, box.height * down);
    context.setLineDash(box.id === picked ? [] : [6 * ratio, 4 * ratio]);
    outline(context, color, ratio);
    drawTag(context, `${box.index + 1} ${box.name}`.trim(), { x: left, y: top }, ground, ink);
  }
}

const TAG_PX = 20;

/** Words above a place, all of them on the canvas. @param {CanvasRenderingContext2D} context @param {string} words @param {Point} at @param {string} ground @param {string} ink */
function drawTag(context, words, { x, y }, ground, ink) {
  const { canvas } = context;
  const ratio = devicePixelRatio;
  const [room, tall, pad] = [canvas.width * 0.7, TAG_PX * ratio, 6 * ratio];
  context.font = `600 ${12 * ratio}px ${getComputedStyle(canvas).fontFamily}`;
  let shown = words;
  while (context.measureText(shown).width > room) shown = `${shown.slice(0, -2)}…`;
  const wide = context.measureText(shown).width + 2 * pad;
  const left = Math.max(0, Math.min(x, canvas.width - wide));
  const top = Math.max(0, Math.min(y - tall, canvas.height - tall));
  context.fillStyle = ground;
  context.fillRect(left, top, wide, tall);
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(shown, left + pad, top + tall / 2);
}

/** A path that is seen on light and on dark. @param {CanvasRenderingContext2D} context @param {string} color @param {number} ratio */
export function outline(context, color, ratio) {
  context.lineWidth = 3.5 * ratio;
  context.strokeStyle = "rgb(12 10 30 / 70%)";
  context.stroke();
  context.lineWidth = 1.5 * ratio;
  context.strokeStyle = color;
  context.stroke();
}
