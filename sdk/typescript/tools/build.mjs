// Builds dist/: ES modules, CommonJS beside them in dist/cjs, and the types of both.
//
// Modules stay separate files, so that the entries share them and an application's bundler takes only what is used. Names
// that only modules of this package use are shortened, since no minifier may do that later.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";

// Properties of objects that nobody else sees: not applications, not the platform, not the server. That is checked below.
const kInternalNames = [
  "admit", "backlog", "catchingUp", "deliver", "delivered", "down", "emit", "endEvents", "failAll", "horizon", "fold", "folds",
  "forget", "heard", "hole", "isOwn", "known", "lane", "listed", "loose", "imprint", "notBeforeMs", "offline", "openOwn", "overlap", "post",
  "present", "readers", "refusal", "refused", "renewed", "repeatable", "refill", "restart", "recall", "resumable", "resubscribe", "resync",
  "settle", "skip", "collect", "spend", "letGo", "unechoed", "up", "want", "wanted", "watched",
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

/** A shortened name that the platform or the protocol has too would break what is called or sent. */
function checkNames() {
  const platform = files("node_modules/@typescript", ".d.ts").filter((path) => /\/lib\.(dom|es)[^/]*$/.test(path));
  const texts = platform.map((path) => readFileSync(path, "utf8"));
  if (!texts.length) throw new Error("the compiler's own types are not where they were");
  const members = texts.flatMap((text) => [...text.matchAll(/^ +(?:readonly |get |set )?(\w+)\??[:(<]/gm)]);
  const fields = readFileSync("../../docs/protocol.md", "utf8").matchAll(/"(\w+)"/g);
  const taken = new Set([...members, ...fields].map(([, name]) => name));
  const clashes = kInternalNames.filter((name) => taken.has(name));
  if (clashes.length) throw new Error(`${clashes.join(", ")} in tools/build.mjs: others have these names too`);
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

checkNames();
rmSync("dist", { recursive: true, force: true });
execFileSync("node_modules/.bin/tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
for (const [format, outdir] of [["esm", "dist"], ["cjs", "dist/cjs"]]) {
  await build({ entryPoints: sources, outbase: "src", outdir, format, target: "es2022", mangleProps: new RegExp(`^(${kInternalNames.join("|")})$`), mangleCache: shortNames() });
}
pruneTypes();
checkTypes();
mkdirSync("dist/cjs", { recursive: true });
for (const path of files("dist", ".d.ts")) cpSync(path, path.replace(/^dist/, "dist/cjs"));
cpSync("../../LICENSE", "dist/LICENSE");
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
