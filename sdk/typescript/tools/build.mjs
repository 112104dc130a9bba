// Builds dist/: ES modules, CommonJS beside them in dist/cjs, and the types of both.
//
// Modules stay separate files, so that the entries share them and an application's bundler takes only what is used. Names
// that only modules of this package use are shortened, since no minifier may do that later.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";

// Properties of objects that no application sees. None may stand in the published types, which is checked below.
const kInternalNames = [
  "accept", "catchingUp", "deliver", "delivered", "drop", "emit", "endEvents", "failAll", "floor", "fold", "folds", "heard", "held", "hole",
  "known", "lane", "listed", "loose", "mark", "notBeforeMs", "offline", "overlap", "post", "readers", "refusal", "refused", "renewed",
  "repeatable", "restart", "restore", "resumable", "resync", "settle", "skip", "take", "unechoed", "want", "wanted", "watched",
];

function files(folder, end) {
  return readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(end)).map((path) => `${folder}/${path}`);
}

function shortNames() {
  const letter = (i) => String.fromCharCode(97 + (i % 26));
  return Object.fromEntries(kInternalNames.map((name, i) => [name, `${i < 26 ? "_" : "$"}${letter(i)}`]));
}

/** Leaves only the types that an entry leads to. */
function pruneTypes() {
  const reached = new Set();
  const reach = (path) => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const [, target] of readFileSync(path, "utf8").matchAll(/from "(\.[^"]+)\.js"/g)) reach(join(dirname(path), `${target}.d.ts`));
  };
  for (const entry of ["node", "index", "kinds/index", "outbox/index", "tabs/index", "react/index"]) reach(`dist/${entry}.d.ts`);
  for (const path of files("dist", ".d.ts")) if (!reached.has(path)) rmSync(path);
}

function checkTypes() {
  for (const path of files("dist", ".d.ts")) {
    // Comments and the names of events are text.
    const code = readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\/|"[^"\n]*"/g, "");
    const seen = kInternalNames.filter((name) => new RegExp(`\\b${name}\\b`).test(code));
    if (seen.length) throw new Error(`${path} shows ${seen.join(", ")}: mark these @internal, or take them from the list in tools/build.mjs`);
  }
}

const sources = files("src", ".ts").filter((path) => !path.endsWith(".test.ts"));

rmSync("dist", { recursive: true, force: true });
execFileSync("node_modules/.bin/tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
for (const [format, outdir] of [["esm", "dist"], ["cjs", "dist/cjs"]]) {
  await build({ entryPoints: sources, outbase: "src", outdir, format, target: "es2022", mangleProps: new RegExp(`^(${kInternalNames.join("|")})$`), mangleCache: shortNames() });
}
pruneTypes();
checkTypes();
mkdirSync("dist/cjs", { recursive: true });
for (const path of files("dist", ".d.ts")) cpSync(path, path.replace(/^dist/, "dist/cjs"));
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
