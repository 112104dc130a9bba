// Two users of the FastAPI example: what one orders the other sees, and who ordered is told when it is ready.

import { withPages } from "./browser.mjs";

const [site] = process.argv.slice(2);
await withPages(async (open) => {
  const enter = async (name, password) => {
    const page = await open(site);
    await page.fill("#login [name=name]", name);
    await page.fill("#login [name=password]", password);
    await page.click("#login button");
    return page;
  };
  const wrong = await enter("ann", "wrong");
  await wrong.getByText("wrong name or password").waitFor();
  const ann = await enter("ann", "tide");
  const bob = await enter("bob", "moon");
  await bob.getByText("as bob").waitFor();
  await ann.fill("#order [name=item]", "a lemonade");
  await ann.click("#order button");
  const line = bob.locator("li", { hasText: "a lemonade for ann" });
  await line.locator("button").click();
  await ann.getByText(/Your order \d+ is ready/).waitFor();
  await ann.locator("li.ready", { hasText: "a lemonade" }).waitFor();
  await ann.reload();
  await ann.locator("li.ready", { hasText: "a lemonade" }).waitFor();
});
