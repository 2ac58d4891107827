import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileStem, nameOf } from "../../static/js/images/files.js";

const EXAMPLES = JSON.parse(readFileSync(new URL("../file_names.json", import.meta.url), "utf8"));

test("the page names files as the server does", () => {
  for (const { name, stem } of EXAMPLES) assert.equal(fileStem(name, "layer"), stem, JSON.stringify(name));
});

test("a file is called what the server says", () => {
  assert.equal(nameOf("attachment; filename=\"1.psd\"; filename*=UTF-8''%E6%B5%B7%E6%8A%A5%201.psd"), "海报 1.psd");
  assert.equal(nameOf('attachment; filename="My poster, v2.psd"'), "My poster, v2.psd");
  assert.equal(nameOf(null), "");
});
