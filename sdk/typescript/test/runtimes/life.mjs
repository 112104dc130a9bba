// A client's life as an application would lead it, under whatever runs this. What it asks of the test (`cut`, `stall`) and
// what came of it are lines on standard output. Arguments: the server's address, a token, a name of its own, and
// addresses of servers that misbehave, if the network is to be as bad as that.

import { Tidewire, TidewireError } from "@tidewire/client";
import { openDocument } from "@tidewire/client/kinds";

const [url, token, name, ...hostile] = process.argv.slice(2);
/** How it ended; "hanging" when it did not. */
async function ending(promise) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(() => resolve("hanging"), 10_000)));
  const settled = promise.then(
    () => "done",
    (error) => (error instanceof TidewireError ? "refused" : String(error)),
  );
  return Promise.race([settled, late]).finally(() => clearTimeout(timer));
}

/** Whether all is settled that an application waits for from such a server. */
async function against(address) {
  const poor = new Tidewire(address, { timeoutMs: 1500, connectTimeoutMs: 500, heartbeatMs: 1000, pingTimeoutMs: 500 });
  const other = poor.channel("room:1");
  const work = [poor.connect(), other.subscribe(), other.publish("x"), other.history(), poor.call("ping")].map(ending);
  const isHanging = (await Promise.all(work)).includes("hanging");
  poor.close();
  return isHanging ? `hanging at ${address}` : "settled";
}

const client = new Tidewire(url, { token: async () => token, heartbeatMs: 1000, pingTimeoutMs: 300 });
const room = client.channel(`room:${name}`, { presence: true });
const heard = [];
const verdicts = [];
let news = () => {};
room.on("subscribed", ({ recovered }) => verdicts.push(recovered));
await room.subscribe((message) => {
  heard.push(message.data);
  news();
});
const arrived = (count) => new Promise((resolve) => (news = () => heard.length >= count && resolve())).finally(() => (news = () => {}));

const first = arrived(1);
await room.publish("hello");
await first;
await room.presence.enter({ mood: "fine" });

const big = "tide ".repeat(40_000);
const iterator = room[Symbol.asyncIterator]();
await room.publish(big, { echo: true });
const { value } = await iterator.next();
await iterator.return();
heard.pop();

const plan = openDocument(client, `doc:${name}`);
await plan.subscribe();
await plan.set({ steps: ["pack"] });
await plan.patch([{ op: "add", path: "/steps/-", value: "go" }]);

const refusal = await client.channel("nowhere:1").subscribe().catch((error) => error);

for (const what of hostile.length ? ["cut", "stall"] : ["cut"]) {
  const back = arrived(heard.length + 1);
  console.log(JSON.stringify({ please: what }));
  await back;
}

const endings = await Promise.all(hostile.map(against));
console.log(
  JSON.stringify({
    user: client.session.user.id,
    heard,
    verdicts,
    big: value.data === big,
    members: room.presence.members.map(({ user }) => user.id),
    plan: plan.value,
    refusal: [refusal instanceof TidewireError, refusal.code],
    endings,
  }),
);
client.close();
