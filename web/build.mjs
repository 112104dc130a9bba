// Builds the pages that the server brings along: each PAGE/main.tsx and PAGE/style.css become PAGE/dist, which is what
// tools/embed.py puts into the binary. dist is checked in, so that building the server needs no Node.js.
//
//   node build.mjs           builds
//   node build.mjs --check   says whether dist is what the sources make of it; changes nothing
//
// The components are written for React and bundled with Preact, which is a tenth of its size. The client comes from
// sdk/typescript as it stands there.

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const kHere = dirname(fileURLToPath(import.meta.url));
const kClient = join(kHere, "../sdk/typescript/src");
const kPages = ["demo", "admin"];
const kAsTheyAre = [".html", ".svg"];
export const kAlias = {
  "@tidewire/client/kinds": join(kClient, "kinds/index.ts"),
  "@tidewire/client/outbox": join(kClient, "outbox/index.ts"),
  "@tidewire/client/react": join(kClient, "react/index.ts"),
  "@tidewire/client": join(kClient, "index.ts"),
  "react-dom/client": "preact/compat/client",
  "react/jsx-runtime": "preact/jsx-runtime",
  react: "preact/compat",
};

async function bundle(page) {
  const folder = join(kHere, page);
  const { outputFiles } = await build({
    absWorkingDir: kHere,
    entryPoints: { [page]: join(folder, "main.tsx"), [`${page}-style`]: join(folder, "style.css") },
    outdir: join(folder, "dist"),
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022", "chrome109", "firefox115", "safari16"],
    jsx: "automatic",
    legalComments: "none",
    logLevel: "warning",
    write: false,
    alias: kAlias,
  });
  const files = new Map();
  for (const { path, contents } of outputFiles) files.set(path.slice(folder.length + 6).replace("-style.css", ".css"), Buffer.from(contents));
  for (const from of [join(kHere, "shared"), folder]) {
    for (const name of await readdir(from)) {
      if (kAsTheyAre.some((end) => name.endsWith(end))) files.set(name, await readFile(join(from, name)));
    }
  }
  return files;
}

async function isCurrent(page, files) {
  const folder = join(kHere, page, "dist");
  const names = await readdir(folder).catch(() => []);
  const isSame = async ([name, contents]) => names.includes(name) && contents.equals(await readFile(join(folder, name)));
  return names.length === files.size && (await Promise.all([...files].map(isSame))).every(Boolean);
}

async function write(page, files) {
  const folder = join(kHere, page, "dist");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, contents] of files) await writeFile(join(folder, name), contents);
}

async function main(isCheck) {
  for (const page of kPages) {
    const files = await bundle(page);
    if (!isCheck) {
      await write(page, files);
    } else if (!(await isCurrent(page, files))) {
      console.error(`web/${page}/dist is not what its sources make: run ./dev web and commit it`);
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.includes("--check"));
