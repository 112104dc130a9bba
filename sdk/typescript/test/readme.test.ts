// Every code block of the README compiles against the built package, and its first one runs.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { hasBinary, Server } from "./live/server.js";

const kRoot = fileURLToPath(new URL("..", import.meta.url));
const blocks = [...readFileSync(`${kRoot}/README.md`, "utf8").matchAll(/```(tsx?)\n([\s\S]*?)```/g)].map(([, language, code]) => ({ language: language!, code: code! }));

/** What a block takes as given. */
const kGiven: [name: string, declaration: string][] = [
  ["fetchToken", "declare function fetchToken(): Promise<string>;"],
  ["client", 'declare const client: import("@tidewire/client").Tidewire;'],
  ["room", 'declare const room: import("@tidewire/client").Channel<{ text: string }>;'],
];

it("has blocks", () => {
  expect(blocks.length).toBeGreaterThan(6);
});

it("compiles", () => {
  const folder = mkdtempSync(`${kRoot}/test/readme-`);
  try {
    const files = blocks.map(({ language, code }, i) => {
      const given = kGiven.filter(([name]) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`const ${name} =`).test(code));
      const name = `block${i}.${language}`;
      writeFileSync(`${folder}/${name}`, `${given.map(([, declaration]) => declaration).join("\n")}\n${code}\nexport {};\n`);
      return name;
    });
    const options = { target: "ES2022", lib: ["ES2022", "DOM"], module: "NodeNext", moduleResolution: "NodeNext", jsx: "react-jsx", strict: true, noEmit: true, types: [] };
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: options, files }));
    execFileSync(`${kRoot}/node_modules/.bin/tsc`, ["-p", folder], { encoding: "utf8" });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout || String(error));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.skipIf(!hasBinary)("starts as it says", async () => {
  const server = await Server.start();
  try {
    const start = blocks[0]!.code.replace("http://127.0.0.1:8080", server.url).replace("fetchToken()", JSON.stringify(server.token("ann"))).replace("<{ text: string }>", "");
    const seen = "let seen = 0; const { log } = console; console.log = (...words) => { log(...words); seen += 1; };";
    const end = "while (!seen) await new Promise((resolve) => setTimeout(resolve, 5)); client.close();";
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", `${seen} ${start}; ${end}`], { cwd: kRoot, encoding: "utf8", timeout: 15_000 });
    expect(start.trim().split("\n")).toHaveLength(5);
    expect(output).toBe("hello\n");
  } finally {
    await server.dispose();
  }
});
