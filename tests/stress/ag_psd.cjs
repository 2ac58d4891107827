// What ag-psd reads of a PSD, and PSDs that it writes: a tree as JSON beside files of RGBA pixels.
const fs = require("node:fs");
const path = require("node:path");
const { initializeCanvas, readPsd, writePsdBuffer } = require("ag-psd");

function noCanvas() {
  throw new Error("only pixels are read and written");
}
initializeCanvas(noCanvas, (width, height) => ({ width, height, data: new Uint8ClampedArray(4 * width * height) }));

const [what, file, folder] = process.argv.slice(2);

function told(node, count) {
  const { name, blendMode, opacity = 1, hidden = false, left, top } = node;
  const about = { name, blendMode, opacity, hidden };
  if (node.children) return { ...about, children: node.children.map((child) => told(child, count)) };
  const { width, height, data } = node.imageData;
  const pixels = `${count.next++}.rgba`;
  fs.writeFileSync(path.join(folder, pixels), data);
  return { ...about, left, top, width, height, pixels };
}

function made(node) {
  const { pixels, width, height, children, ...about } = node;
  if (children) return { ...about, children: children.map(made) };
  const data = new Uint8ClampedArray(fs.readFileSync(path.join(folder, pixels)));
  return { ...about, imageData: { width, height, data } };
}

if (what === "read") {
  const psd = readPsd(fs.readFileSync(file), { useImageData: true, skipThumbnail: true });
  fs.writeFileSync(path.join(folder, "tree.json"), JSON.stringify(told(psd, { next: 0 })));
} else if (what === "write") {
  const { width, height, ...tree } = JSON.parse(fs.readFileSync(path.join(folder, "tree.json")));
  const merged = { width, height, data: new Uint8ClampedArray(4 * width * height) };
  fs.writeFileSync(file, writePsdBuffer({ width, height, imageData: merged, ...made(tree) }));
}
