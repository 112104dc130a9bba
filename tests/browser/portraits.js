// Takes the pictures in docs/images: `npm run portraits`. A room with some life in it, while a run is streaming.

import { fileURLToPath } from "node:url";
import { Browser, kPhone, until } from "./browser.js";
import { Server } from "./server.js";

const kImages = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const kRoom = "harbour";

const [server, browser] = await Promise.all([Server.start(), Browser.launch()]);
const ada = await browser.join(server.url, "Ada", kRoom);
const grace = await browser.join(server.url, "Grace", kRoom);
const otto = await browser.join(server.url, "Otto", kRoom);
await ada.page.setViewportSize({ width: 1440, height: 940 });

await ada.say("Morning! Is the tide in yet?");
await grace.sees("Is the tide in yet?");
await grace.say("Nearly. Eleven metres at Saint-Malo today.");
await otto.say("Room for one more?");
await ada.sees("Room for one more?");
await otto.page.close();
await ada.say("Always. We cast off at seven.");
await fetch(`${server.url}/api/v1/publish`, {
  method: "POST",
  headers: { "X-API-Key": "tw_dev" },
  body: JSON.stringify({ channel: `room:${kRoom}`, data: { text: "The tide is coming in." } }),
});
await grace.page.locator("#pace").selectOption("1");
await grace.page.getByRole("button", { name: "Send 64 MB" }).click();
for (const priority of ["low", "critical", "high"]) {
  await ada.page.getByLabel("Priority", { exact: true }).selectOption(priority);
  await ada.page.getByRole("button", { name: "Notify me" }).click();
}
await ada.network("Off");
await ada.state("waiting");
await grace.say("I bring the charts.");
await ada.say("Written in the tunnel, sent at the other end.");
await ada.network("Online");
await grace.sees("Written in the tunnel");
await ada.member("Otto", "[data-here=false]").waitFor();
await until(async () => Number.parseFloat(await ada.page.locator("#percent").textContent()) > 45, "a good part of the upload");
await ada.page.locator("#agent .primary").click();
await until(async () => (await ada.page.locator("#run").textContent()).length > 420, "some text");
await grace.page.getByLabel("Message", { exact: true }).pressSequentially("On my w");
await ada.page.locator(".typing").filter({ hasText: "typing" }).waitFor();

await ada.page.bringToFront();
await ada.page.screenshot({ path: `${kImages}demo.png` });
await ada.page.emulateMedia({ colorScheme: "dark" });
await ada.page.screenshot({ path: `${kImages}demo-dark.png` });
await ada.page.setViewportSize({ width: 1440, height: 500 });
await ada.page.locator("#network").screenshot({ path: `${kImages}demo-network-dark.png` });
await ada.page.emulateMedia({ colorScheme: "light" });
await ada.page.locator("#network").screenshot({ path: `${kImages}demo-network.png` });
await ada.page.setViewportSize(kPhone);
await ada.page.screenshot({ path: `${kImages}demo-phone.png` });
await ada.page.emulateMedia({ colorScheme: "dark" });
await ada.page.screenshot({ path: `${kImages}demo-phone-dark.png` });

const admin = await browser.open(`${server.url}/admin/`);
await admin.setViewportSize({ width: 1440, height: 1240 });
await admin.getByLabel("API key").fill("tw_dev");
await admin.getByRole("button", { name: "Come in" }).click();
await admin.locator(`tr[data-channel="session:${kRoom}"] button`).click();
await admin.locator('tr[data-user="Grace"] button').click();
await admin.locator("#channel .tail").filter({ hasText: "tunnel" }).waitFor();
await until(async () => ((await admin.locator(".chart .stroke").first().getAttribute("d")) ?? "").split("L").length > 12, "some figures");
await admin.evaluate(() => scrollTo(0, 0));
await admin.screenshot({ path: `${kImages}admin.png` });
await browser.close();
await server.dispose();
