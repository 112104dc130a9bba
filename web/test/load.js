// A module of a page, as its bundle would have it, for tests that need no browser.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { kAlias } from "../build.mjs";

const kWeb = fileURLToPath(new URL("..", import.meta.url));

export async function load(path) {
  const { outputFiles } = await build({
    absWorkingDir: kWeb,
    entryPoints: [join(kWeb, path)],
    bundle: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    write: false,
    alias: kAlias,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

/** Lets everything happen that waits for no timer. */
export async function settle() {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}
