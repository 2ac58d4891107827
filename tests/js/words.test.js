import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../static", import.meta.url));
const read = (language) => JSON.parse(readFileSync(join(ROOT, "i18n", `${language}.json`), "utf8"));
const [english, chinese] = [read("en"), read("zh-Hans")];
const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

test("both languages say the same things with the same values", () => {
  assert.deepEqual(Object.keys(chinese), Object.keys(english));
  for (const key of Object.keys(english)) assert.deepEqual(places(chinese[key]), places(english[key]), key);
});

test("nothing is left untranslated but names and what the engine reads", () => {
  const same = Object.keys(english).filter(
    (key) => english[key] === chinese[key] && /[a-z]{3}/i.test(english[key].replace(/\{\w+\}/g, "")),
  );
  const allowed = /^(name$|engine\.name\.qwen$|edit\.chip\.|edit\.applyKey|export\.(psd|ora|pptx)$|file\.)/;
  assert.deepEqual(
    same.filter((key) => !allowed.test(key)),
    [],
  );
});

test("every word is used and every used word is there", () => {
  const files = readdirSync(join(ROOT, "js"), { recursive: true }).filter((name) => name.endsWith(".js"));
  const code = files.map((name) => readFileSync(join(ROOT, "js", name), "utf8")).join("\n");
  const families = [...code.matchAll(/`([a-z][\w.]*\.)\$\{[^}]*\}(\.\w+)?`/gi)].map(([, start, end = ""]) => [start, end]);
  const isUsed = (key) =>
    code.includes(`"${key}"`) ||
    code.includes(`"${key.replace(/\.(one|other)$/, "")}"`) ||
    families.some(([start, end]) => key.startsWith(start) && key.endsWith(end));
  assert.deepEqual(
    Object.keys(english).filter((key) => !isUsed(key)),
    [],
  );
});

test("every reason to refuse an instruction has words of its own", () => {
  const code = readFileSync(fileURLToPath(new URL("../../src/llm_dit/classical/operations.py", import.meta.url)), "utf8");
  const reasons = [...code.match(/Reason = Literal\[([\s\S]*?)\]/)[1].matchAll(/"(\w+)"/g)].map(([, reason]) => reason);
  const worded = Object.keys(english).filter((key) => key.startsWith("refusal."));
  assert.deepEqual(worded.map((key) => key.slice("refusal.".length)).sort(), reasons.sort());
});

test("every phase that an engine reports has words of its own", () => {
  const sources = ["src/llm_dit", "server"].map((name) => fileURLToPath(new URL(`../../${name}`, import.meta.url)));
  const files = sources.flatMap((source) => readdirSync(source, { recursive: true }).map((name) => join(source, name)));
  const modules = files.filter((name) => name.endsWith(".py"));
  const code = modules.map((name) => readFileSync(name, "utf8")).join("\n");
  const phases = new Set([...code.matchAll(/(?:\breport(?:\.end)?\(|\bphase=)"(\w+)"/g)].map(([, phase]) => phase));
  const named = [
    ...readFileSync(join(ROOT, "js/views/shell/job-bar.js"), "utf8")
      .match(/PHASES = [\s\S]*?\((\[[\s\S]*?\])\)/)[1]
      .matchAll(/"(\w+)"/g),
  ].map(([, phase]) => phase);
  assert.deepEqual(named.sort(), [...phases].sort());
});
