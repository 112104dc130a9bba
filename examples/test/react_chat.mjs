// Two people in the React chat: they see each other, signs of typing, messages, and the history when they come back.

import { withPages } from "./browser.mjs";

const [site] = process.argv.slice(2);
await withPages(async (open) => {
  const enter = async (page) => page.click("button");
  const [ann, bob] = [await open(`${site}/?name=ann`), await open(`${site}/?name=bob`)];
  await enter(ann);
  await enter(bob);
  for (const page of [ann, bob]) {
    await page.waitForFunction(() => ["ann", "bob"].every((name) => document.querySelector("#members")?.textContent.includes(name)));
  }
  await ann.fill("#text", "hello <b>bob</b>");
  await bob.locator("#typing", { hasText: "ann typing" }).waitFor();
  await ann.press("#text", "Enter");
  for (const page of [ann, bob]) await page.locator("#messages li", { hasText: "ann hello <b>bob</b>" }).waitFor();
  await bob.reload();
  await enter(bob);
  await bob.locator("#messages li", { hasText: "hello <b>bob</b>" }).waitFor();
});
