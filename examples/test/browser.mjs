// Chromium for the examples' pages: `open` gives a page in a browser of its own, and what goes wrong in it is an error.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../tests/browser/package.json", import.meta.url));
const { chromium } = require("playwright-core");

export async function withPages(work) {
  const browser = await chromium.launch({
    executablePath: process.env.TIDEWIRE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const problems = [];
  const open = async (url) => {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(url);
    return page;
  };
  try {
    await work(open);
    if (problems.length) throw new Error(problems.join("\n"));
  } finally {
    await browser.close();
  }
}
