/**
 * What a file is called that the page saves itself: the rule of `llm_dit/names.py`, held to the same examples
 * (`tests/file_names.json`). What the server makes comes with its name.
 */

const MAX_STEM_BYTES = 150;
const INVISIBLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const SEPARATORS = /[/\\:*?"<>|]+/g;
const FRONT = /^[ .\-\u200c\u200d]+/;
const BACK = /[ .\-\u200c\u200d]+$/;
const DEVICES = /^(CON|CONIN\$|CONOUT\$|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]) *(\.|$)/i;
const CONTINUES = /^[\u200c\u200d\p{Mn}\p{Mc}\p{Me}\u{1f3fb}-\u{1f3ff}]/u;

/**
 * @param {string} name   what people call a thing
 * @param {string} instead   when nothing of it can stay
 */
export function fileStem(name, instead) {
  const seen = name.normalize("NFC").replace(INVISIBLE, "").replace(SEPARATORS, "-");
  const stem = seen.trim().replace(/\s+/g, " ").replace(FRONT, "").replace(BACK, "");
  return cut(DEVICES.test(stem) ? `_${stem}` : stem).replace(BACK, "") || instead;
}

/** As much of a text as there are bytes for, without a last sign whose accents, joined signs or color were cut off. @param {string} text */
function cut(text) {
  const signs = [...text];
  let [end, bytes] = [0, 0];
  for (; end < signs.length; end += 1) {
    bytes += new TextEncoder().encode(signs[end]).length;
    if (bytes > MAX_STEM_BYTES) break;
  }
  const most = end;
  while (end > 0 && end < signs.length && (CONTINUES.test(signs[end] ?? "") || signs[end - 1] === "\u200d")) end -= 1;
  return signs.slice(0, end || most).join("");
}

/** The name that the server gives a file, from its Content-Disposition (RFC 6266). @param {string | null} disposition */
export function nameOf(disposition) {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  return extended === undefined ? (/filename="([^"]+)"/i.exec(disposition ?? "")?.[1] ?? "") : decodeURIComponent(extended);
}
