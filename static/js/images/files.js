import { canvas2d } from "./pixels.js";

/** What the server reads itself; anything else that the browser can show is turned into PNG first. */
const UPLOADABLE = ["image/png", "image/jpeg", "image/webp"];

/** @param {File} file @returns {Promise<Blob>} */
export async function uploadable(file) {
  if (UPLOADABLE.includes(file.type)) return file;
  const bitmap = await createImageBitmap(file).catch(() => null);
  // The server says better than we could what is wrong with it.
  if (bitmap === null) return new Blob([file], { type: "image/png" });
  const context = canvas2d(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return new Promise((resolve) => context.canvas.toBlob((blob) => resolve(blob ?? file), "image/png"));
}

/** The first picture, or else the first file, of what was dropped or pasted. @param {DataTransfer | null} transfer */
export function pictureIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0] ?? null;
}

/** Offer a file to the user under its name. @param {File} file */
export function saveFile(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
