// Two pages of the Node.js example hear what is said.

import { withPages } from "./browser.mjs";

const [site] = process.argv.slice(2);
await withPages(async (open) => {
  const [ann, bob] = [await open(site), await open(site)];
  await ann.fill("[name=text]", "good morning");
  await ann.click("button");
  for (const page of [ann, bob]) await page.locator("li", { hasText: "ann: good morning" }).waitFor();
});
