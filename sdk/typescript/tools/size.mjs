// What an application pays for each entry: bundled, minified and gzipped, held against its budget.

import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const kCore = 'export * from "./dist/index.js";';
const kOutbox = 'export * from "./dist/outbox/index.js";';
const kTabs = 'export * from "./dist/tabs/index.js";';
const kKinds = 'export * from "./dist/kinds/index.js";';

const kBudgets = [
  { name: "core", bytes: 9100, contents: kCore },
  { name: "core, outbox, tabs", bytes: 12_100, contents: kCore + kOutbox + kTabs },
  { name: "react", bytes: 2500, contents: 'export * from "./dist/react/index.js";', external: ["react", "../errors.js", "../index.js", "../kinds/index.js"] },
  { name: "core, kinds", contents: kCore + kKinds },
  { name: "everything but react", contents: kCore + kOutbox + kTabs + kKinds },
];

let isOver = false;
for (const { name, bytes: budget, contents, external = [] } of kBudgets) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: "." },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    external,
  });
  const { length } = gzipSync(outputFiles[0].contents, { level: 9 });
  const verdict = budget === undefined ? "" : length > budget ? `OVER the budget of ${budget}` : `of ${budget}`;
  console.log(`${name.padEnd(22)} ${String(length).padStart(6)} bytes ${verdict}`);
  isOver ||= length > (budget ?? Infinity);
}
process.exitCode = isOver ? 1 : 0;
