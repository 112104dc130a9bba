import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, kHello, outcome, turn } from "../test/fake_server.js";
import type { ConnectionState } from "./connection.js";
import { Tidewire } from "./client.js";
import type { TidewireError } from "./errors.js";

let server: FakeServer;
let random = 0.5;

beforeEach(() => {
  vi.useFakeTimers();
  random = 0.5;
  vi.spyOn(Math, "random").mockImplementation(() => random);
  server = new FakeServer();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

async function after(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

function names(client: Tidewire): string[] {
  const seen: string[] = [];
  client.on("state", ({ name }) => seen.push(name));
  return seen;
}

describe("connecting", () => {
  it("begins when it is asked for, and is done with the server's first message", async () => {
    const client = server.client();
    const seen = names(client);
    expect(client.state).toEqual({ name: "idle" });
    expect(server.sockets).toEqual([]);
    const connected = client.connect();
    expect(client.state).toEqual({ name: "connecting", attempt: 0 });
    expect(client.session).toBeNull();
    await turn();
    expect(server.socket.request.url).toBe("ws://fake/ws?inbox=manual");
    server.socket.welcome({ expires_at: 99 });
    expect(await connected).toEqual({
      connectionId: "c-1",
      tenant: "default",
      authenticated: true,
      user: { id: 1, type: "user" },
      capabilities: ["messaging"],
      expiresAt: 99,
      limits: kHello.limits,
    });
    expect(client.session?.user).toEqual({ id: 1, type: "user" });
    expect(seen).toEqual(["connecting", "connected"]);
    expect(await client.connect()).toBe(client.session);
    expect(server.sockets).toHaveLength(1);
  });

  it("brings the token as a subprotocol, from a string or a function that may take its time", async () => {
    for (const token of ["h.p.s", () => "h.p.s", async () => "h.p.s"]) {
      server.client({ token }).connect().catch(() => {});
      await turn();
      expect(server.socket.protocols).toEqual(["tidewire.v1", "tidewire.token.h.p.s"]);
    }
  });

  it("is anonymous without a token", async () => {
    for (const token of ["", () => null, () => undefined]) {
      server.client({ token }).connect().catch(() => {});
      await turn();
      expect(server.socket.protocols).toEqual(["tidewire.v1"]);
    }
    const client = await server.connected({}, { user: null, authenticated: false });
    expect(client.session).toMatchObject({ authenticated: false, user: null });
  });

  it("ignores what comes before the first message", async () => {
    const client = server.client();
    client.on("error", () => {});
    const connected = client.connect();
    await turn();
    server.socket.say({ type: "message", channel: "room:1", seq: 1, data: 1 });
    server.socket.say("garbage");
    expect(client.state.name).toBe("connecting");
    server.socket.welcome();
    await connected;
  });

  it("makes do with a welcome that says next to nothing", async () => {
    const client = await server.connected({}, { user: "me", limits: 7, capabilities: "all", heartbeat_ms: "often", expires_at: undefined });
    expect(client.session).toMatchObject({ authenticated: false, user: null, limits: {}, capabilities: [] });
  });

  it("gives up an attempt that takes too long, the token included, and makes another", async () => {
    const client = server.client({ token: () => new Promise(() => {}), connectTimeoutMs: 2000 });
    client.connect().catch(() => {});
    await after(2000);
    expect(client.state).toMatchObject({ name: "waiting", attempt: 1, error: { code: "timeout" } });
    expect(server.socket.ended).toBeTruthy();
    await after(250);
    expect(server.sockets).toHaveLength(2);
  });

  it("rejects connect() when nothing came in time, and goes on trying", async () => {
    const client = server.client({ timeoutMs: 5000 });
    const failed = vi.fn();
    client.connect().catch(failed);
    await turn();
    server.socket.cut(1006);
    for (let i = 0; i < 20; i += 1) {
      await after(300);
      server.socket.cut(1006);
    }
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ code: "connection_lost" }));
    while (client.state.name === "waiting") await after(500);
    server.socket.welcome();
    expect(client.state.name).toBe("connected");
  });

  it("tells a failing token function from a failing network, and asks it again", async () => {
    let tries = 0;
    const client = server.client({
      token: () => {
        tries += 1;
        if (tries < 3) throw new Error("login is down");
        return "a.b.c";
      },
    });
    client.connect().catch(() => {});
    await turn();
    expect(client.state).toMatchObject({ name: "waiting", error: { code: "token_failed", message: expect.stringContaining("login is down") } });
    await after(3000);
    expect(tries).toBe(3);
    expect(server.socket.protocols).toContain("tidewire.token.a.b.c");
  });

  it.each(["not a token", "a b", "Bearer x.y.z", 42, {}])("refuses %j as a token and says what it takes", async (token) => {
    const client = server.client({ token: () => token as string });
    client.connect().catch(() => {});
    await turn();
    expect(client.state).toMatchObject({ name: "waiting", error: { code: "token_failed", message: expect.stringContaining("is a JWT") } });
  });
});

describe("coming back", () => {
  it("waits with full jitter, longer from attempt to attempt", async () => {
    const client = server.client();
    client.connect().catch(() => {});
    random = 1;
    const waits: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      await turn();
      server.socket.cut();
      const { state } = client;
      if (state.name !== "waiting") throw new Error(state.name);
      waits.push(state.retryAtMs - Date.now());
      await after(waits.at(-1)!);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    random = 0;
    server.socket.cut();
    expect(client.state).toMatchObject({ retryAtMs: Date.now() });
  });

  it("begins the wait anew only after a connection that lasted", async () => {
    const client = await server.connected();
    random = 1;
    const wait = (state: ConnectionState): number => (state.name === "waiting" ? state.retryAtMs - Date.now() : NaN);
    server.socket.cut();
    expect(wait(client.state)).toBe(500);
    await after(500);
    server.socket.welcome();
    server.socket.cut();
    expect(wait(client.state)).toBe(1000);
    await after(1000);
    server.socket.welcome();
    await after(10_000);
    server.socket.cut();
    expect(wait(client.state)).toBe(500);
  });

  it("stops where the server said so", async () => {
    const client = await server.connected();
    server.socket.cut(1000, "disconnected");
    expect(client.state).toMatchObject({ name: "closed", error: { code: "closed", message: expect.stringContaining("disconnected") } });
    await after(100_000);
    expect(server.sockets).toHaveLength(1);
    await expect(client.channel("room:1").publish(1)).rejects.toMatchObject({ code: "closed" });
    const again = client.connect();
    await turn();
    server.socket.welcome();
    await again;
  });

  it("comes back from a drain when the server said to", async () => {
    const client = await server.connected();
    random = 0;
    server.socket.say({ type: "reconnect", after_ms: 4000, reason: "draining" });
    expect(client.state.name).toBe("connected");
    await after(1000);
    server.socket.cut(1012, "draining");
    expect(client.state).toMatchObject({ name: "waiting", retryAtMs: Date.now() + 3000 });
    await after(2999);
    expect(server.sockets).toHaveLength(1);
    await after(1);
    expect(server.sockets).toHaveLength(2);
  });

  it("slows down where the server asked for that", async () => {
    const client = await server.connected();
    random = 0;
    server.socket.cut(1008, "Too many failed connection attempts");
    expect(client.state).toMatchObject({ name: "waiting", retryAtMs: Date.now() + 15_000, error: { code: "rate_limited" } });
  });

  it("connects at once when the application asks", async () => {
    const client = await server.connected();
    server.socket.cut();
    expect(client.state.name).toBe("waiting");
    const again = client.connect();
    expect(client.state.name).toBe("connecting");
    await turn();
    server.socket.welcome();
    await again;
    await after(20_000);
    expect(server.sockets).toHaveLength(2);
  });

  it("ignores what an old socket still says", async () => {
    const client = await server.connected({ pingTimeoutMs: 1000, heartbeatMs: 5000 });
    const old = server.socket;
    await after(6000);
    expect(client.state.name).toBe("waiting");
    old.ended = undefined;
    old.welcome();
    old.cut(1000);
    expect(client.state.name).toBe("waiting");
  });
});

describe("a refused token", () => {
  async function refuse(code: string): Promise<void> {
    await turn();
    server.socket.say({ type: "auth_error", code, message: "no", retryable: false });
    server.socket.cut(1008, code);
  }

  it("is asked for again, and the attempts end when three in a row are refused", async () => {
    const token = vi.fn(() => "a.b.c");
    const client = server.client({ token });
    const connected = client.connect();
    connected.catch(() => {});
    for (let i = 0; i < 3; i += 1) {
      await refuse("token_expired");
      await after(5000);
    }
    expect(token).toHaveBeenCalledTimes(3);
    expect(client.state).toMatchObject({ name: "closed", error: { code: "token_expired", message: "no" } });
    await expect(connected).rejects.toMatchObject({ code: "token_expired" });
  });

  it("ends them at once when there is only one token", async () => {
    const client = server.client({ token: "a.b.c" });
    const connected = client.connect();
    await refuse("token_invalid");
    await expect(connected).rejects.toMatchObject({ code: "token_invalid" });
    expect(client.state.name).toBe("closed");
  });

  it("counts anew after one that was taken", async () => {
    random = 0;
    const client = server.client();
    client.connect().catch(() => {});
    for (let i = 0; i < 6; i += 1) {
      await refuse("token_expired");
      await after(0);
      server.socket.welcome();
      expect(client.state.name).toBe("connected");
      server.socket.cut();
      await after(0);
    }
  });

  it("is not the fault where the server could not check it", async () => {
    const client = server.client({ token: "a.b.c" });
    client.connect().catch(() => {});
    await refuse("unavailable");
    expect(client.state).toMatchObject({ name: "waiting", error: { code: "unavailable" } });
  });

  it("at its end makes the next connection bring another", async () => {
    let n = 0;
    const client = await server.connected({ token: () => `a.b.${(n += 1)}` });
    server.socket.say({ type: "auth_error", code: "token_expired", message: "over" });
    server.socket.cut(1008, "token_expired");
    expect(client.state).toMatchObject({ name: "waiting", error: { code: "token_expired" } });
    await after(500);
    expect(server.socket.protocols).toContain("tidewire.token.a.b.2");
  });
});

describe("renewal", () => {
  it("gives the connection a new token before the old one ends", async () => {
    let n = 0;
    const client = await server.connected({ token: () => `a.b.${(n += 1)}` });
    const sessions: unknown[] = [];
    client.on("session", (session) => sessions.push(session.expiresAt));
    server.socket.say({ type: "auth_expiring", expires_at: 1000 });
    await after(1000);
    const { id, token } = server.socket.last("auth");
    expect(token).toBe("a.b.2");
    server.socket.say({ type: "auth_success", id, user: { id: 1, type: "user" }, capabilities: ["messaging", "agents"], expires_at: 5000 });
    await turn();
    expect(client.session).toMatchObject({ connectionId: "c-1", expiresAt: 5000, capabilities: ["messaging", "agents"], limits: kHello.limits });
    expect(client.state).toMatchObject({ name: "connected", session: { expiresAt: 5000 } });
    expect(sessions).toEqual([5000]);
    expect(server.sockets).toHaveLength(1);
  });

  it("waits for half of the time that is left, so that a short-lived token is not renewed without end", async () => {
    await server.connected({ heartbeatMs: 100_000 }, { heartbeat_ms: 100_000 });
    server.socket.say({ type: "auth_expiring", expires_at: Date.now() + 60_000 });
    await after(29_999);
    expect(server.socket.all("auth")).toEqual([]);
    await after(1);
    expect(server.socket.all("auth")).toHaveLength(1);
    for (const expires_at of [Date.now() + 3_600_000_000, "soon", undefined, -5]) server.socket.say({ type: "auth_expiring", expires_at });
    await after(999);
    expect(server.socket.all("auth")).toHaveLength(1);
    await after(1);
    expect(server.socket.all("auth")).toHaveLength(2);
  });

  it("tries again when the token could not be had", async () => {
    let n = 0;
    const errors: TidewireError[] = [];
    const client = await server.connected({
      token: () => {
        if ((n += 1) === 2) throw new Error("login is down");
        return "a.b.c";
      },
    });
    client.on("error", (error) => errors.push(error));
    server.socket.say({ type: "auth_expiring", expires_at: 1000 });
    await after(1000);
    expect(errors).toMatchObject([{ code: "token_failed" }]);
    expect(server.socket.all("auth")).toEqual([]);
    await after(10_000);
    expect(server.socket.all("auth")).toHaveLength(1);
  });

  it("does not repeat a token that the server refuses", async () => {
    const errors: TidewireError[] = [];
    const client = await server.connected();
    client.on("error", (error) => errors.push(error));
    server.socket.say({ type: "auth_expiring", expires_at: 1000 });
    await after(1000);
    server.socket.say({ type: "auth_error", id: server.socket.last("auth").id, code: "user_mismatch", message: "another" });
    await after(20_000);
    expect(errors).toMatchObject([{ code: "user_mismatch" }]);
    expect(server.socket.all("auth")).toHaveLength(1);
    expect(client.session).not.toBeNull();
  });

  it("does nothing where there is only one token", async () => {
    await server.connected({ token: "a.b.c" });
    server.socket.say({ type: "auth_expiring", expires_at: 1000 });
    await after(20_000);
    expect(server.socket.all("auth")).toEqual([]);
  });

  it("signs an anonymous connection in", async () => {
    let token: string | null = null;
    const client = await server.connected({ token: () => token }, { user: null, authenticated: false });
    await expect(client.renew()).rejects.toMatchObject({ code: "token_failed" });
    token = "a.b.c";
    const renewed = client.renew();
    await turn();
    server.socket.say({ type: "auth_success", id: server.socket.last("auth").id, user: { id: "u", type: "user" }, capabilities: [] });
    expect(await renewed).toMatchObject({ authenticated: true, user: { id: "u" } });
  });

  it("does not wait for ever for the token", async () => {
    let asked = 0;
    const client = await server.connected({ timeoutMs: 3000, token: () => ((asked += 1) === 1 ? "a.b.c" : new Promise<string>(() => {})) });
    const renewed = client.renew();
    renewed.catch(() => {});
    await after(3000);
    await expect(renewed).rejects.toMatchObject({ code: "token_failed" });
  });

  it("does not wait for ever for the answer, nor take another one for it", async () => {
    const client = await server.connected({ timeoutMs: 3000 });
    const renewed = client.renew();
    renewed.catch(() => {});
    await after(3000);
    await expect(renewed).rejects.toMatchObject({ code: "timeout" });
    const wrong = client.renew();
    await turn();
    server.socket.say({ type: "pong", id: server.socket.last("auth").id });
    await expect(wrong).rejects.toMatchObject({ code: "protocol_error" });
  });
});

describe("another user's token", () => {
  it("closes the client before anything of the first user is sent", async () => {
    const client = await server.connected();
    const published = client.channel("room:1").publish("mine");
    published.catch(() => {});
    await turn();
    server.socket.cut();
    await after(1000);
    server.socket.welcome({ user: { id: 2, type: "user" } });
    expect(client.state).toMatchObject({ name: "closed", error: { code: "user_mismatch" } });
    expect(server.socket.sent).toEqual([]);
    await expect(published).rejects.toMatchObject({ code: "user_mismatch" });
  });

  it("is the same user where only the spelling of the id differs", async () => {
    const client = await server.connected();
    server.socket.cut();
    await after(1000);
    server.socket.welcome({ user: { id: "1", type: "user" } });
    expect(client.state.name).toBe("connected");
  });
});

describe("silence", () => {
  it("is doubted with a ping, and broken by anything", async () => {
    const client = await server.connected({ heartbeatMs: 5000, pingTimeoutMs: 1000 });
    await after(4999);
    expect(server.socket.all("ping")).toEqual([]);
    await after(1);
    expect(server.socket.sent).toEqual([{ type: "ping" }]);
    server.socket.say({ type: "pong", timestamp: 1 });
    await after(5000);
    expect(server.socket.all("ping")).toHaveLength(2);
    server.socket.message("room:1", 1, "anything");
    await after(1000);
    expect(client.state.name).toBe("connected");
  });

  it("after a ping is the end of the connection", async () => {
    const client = await server.connected({ heartbeatMs: 5000, pingTimeoutMs: 1000 });
    await after(5999);
    expect(client.state.name).toBe("connected");
    await after(1);
    expect(client.state).toMatchObject({ name: "waiting", error: { code: "timeout" } });
    expect(server.socket.ended).toEqual({ code: 4000 });
  });

  it("is borne longer after each connection that it ended, and half as long after each answer", async () => {
    // A message that takes longer than all this would otherwise come from its beginning for ever.
    const client = await server.connected({ heartbeatMs: 5000, pingTimeoutMs: 1000 });
    for (const waitMs of [1000, 2000, 4000, 8000, 16_000, 16_000]) {
      await after(5000 + waitMs - 1);
      expect(client.state.name).toBe("connected");
      await after(1);
      expect(client.state).toMatchObject({ name: "waiting", error: { message: `no answer to a ping within ${waitMs} ms` } });
      await vi.advanceTimersToNextTimerAsync();
      server.socket.welcome();
    }
    for (let i = 0; i < 3; i += 1) {
      await after(5000);
      server.socket.say({ type: "pong", timestamp: 1 });
    }
    await after(5000 + 1999);
    expect(client.state.name).toBe("connected");
    await after(1);
    expect(client.state.name).toBe("waiting");
  });

  it("is never doubted while the server talks, and as often as the server wishes", async () => {
    await server.connected({ heartbeatMs: 60_000 }, { heartbeat_ms: 3000 });
    for (let i = 0; i < 10; i += 1) {
      await after(2000);
      server.socket.message("room:1", i + 1, i);
    }
    expect(server.socket.all("ping")).toEqual([]);
    await after(3000);
    expect(server.socket.all("ping")).toHaveLength(1);
  });

  it("of a machine that slept is doubted as soon as it wakes", async () => {
    await server.connected({ heartbeatMs: 25_000 });
    vi.setSystemTime(Date.now() + 3_600_000);
    await after(25_000);
    expect(server.socket.all("ping")).toHaveLength(1);
  });
});

describe("a page", () => {
  class Page extends EventTarget {
    visibilityState = "visible";
  }
  let page: Page;
  let events: EventTarget;
  beforeEach(() => {
    page = new Page();
    events = new EventTarget();
    vi.stubGlobal("document", page);
    vi.stubGlobal("addEventListener", events.addEventListener.bind(events));
    vi.stubGlobal("removeEventListener", events.removeEventListener.bind(events));
    vi.stubGlobal("navigator", { onLine: true });
  });

  it("doubts the connection when it is shown again", async () => {
    const client = await server.connected({ pingTimeoutMs: 1000 });
    page.visibilityState = "hidden";
    page.dispatchEvent(new Event("visibilitychange"));
    expect(server.socket.all("ping")).toEqual([]);
    page.visibilityState = "visible";
    page.dispatchEvent(new Event("visibilitychange"));
    expect(server.socket.all("ping")).toHaveLength(1);
    await after(500);
    // A second doubt does not put off the first one's answer.
    page.dispatchEvent(new Event("visibilitychange"));
    await after(500);
    expect(client.state.name).toBe("waiting");
  });

  it("comes back soon after the network does, spread out", async () => {
    const client = await server.connected();
    random = 1;
    for (let i = 0; i < 8; i += 1) {
      server.socket.cut();
      await after(i < 7 ? 30_000 : 0);
    }
    vi.stubGlobal("navigator", { onLine: false });
    page.dispatchEvent(new Event("visibilitychange"));
    expect(client.state).toMatchObject({ name: "waiting", retryAtMs: Date.now() + 30_000 });
    vi.stubGlobal("navigator", { onLine: true });
    const { length } = server.sockets;
    random = 0.5;
    events.dispatchEvent(new Event("online"));
    expect(client.state).toMatchObject({ name: "waiting", retryAtMs: Date.now() + 250 });
    await after(250);
    expect(server.sockets).toHaveLength(length + 1);
  });

  it("doubts the connection when the network goes", async () => {
    await server.connected();
    events.dispatchEvent(new Event("offline"));
    expect(server.socket.all("ping")).toHaveLength(1);
  });

  it("does not come back earlier than a server that is to be spared asked for", async () => {
    const client = await server.connected();
    random = 0;
    server.socket.cut(1008, "rate_limited");
    const before = client.state;
    events.dispatchEvent(new Event("online"));
    expect(client.state).toMatchObject({ name: "waiting", retryAtMs: (before as { retryAtMs: number }).retryAtMs });
  });

  it("is left alone once the client is closed", async () => {
    const client = await server.connected();
    client.close();
    page.dispatchEvent(new Event("visibilitychange"));
    events.dispatchEvent(new Event("online"));
    await after(60_000);
    expect(server.sockets).toHaveLength(1);
    expect(server.socket.sent).toEqual([]);
  });
});

describe("closing", () => {
  it("ends the socket, the waiting and the iterators", async () => {
    const client = await server.connected();
    const states = client.events("state");
    const seen = names(client);
    client.close();
    client.close();
    expect(server.socket.ended).toEqual({ code: 1000 });
    expect(seen).toEqual(["closed"]);
    expect(client.state).toEqual({ name: "closed" });
    expect(client.session).toBeNull();
    expect((await states.next()).value).toEqual({ name: "closed" });
    expect((await states.next()).done).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("works at any time", async () => {
    const idle = server.client();
    idle.close();
    expect(idle.state.name).toBe("closed");

    const connecting = server.client();
    const connected = connecting.connect();
    connecting.close();
    await expect(connected).rejects.toMatchObject({ code: "closed" });

    const waiting = server.client();
    const never = waiting.connect();
    await turn();
    server.socket.cut();
    waiting.close();
    expect(await outcome(never)).toMatchObject({ error: { code: "closed" } });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("may be asked for by a listener of the end", async () => {
    const client = await server.connected();
    client.on("state", ({ name }) => name === "waiting" && client.close());
    server.socket.cut();
    expect(client.state.name).toBe("closed");
    await after(60_000);
    expect(server.sockets).toHaveLength(1);
  });
});

describe("wrong use", () => {
  it.each(["nonsense", "ftp://host/ws", ""])("%j as an address says what it takes", (url) => {
    expect(() => new Tidewire(url)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });

  it.each([
    ["http://h:1", "ws://h:1/ws?inbox=manual"],
    ["https://h/api/ws?x=1#y", "wss://h/api/ws?x=1&inbox=manual"],
    [new URL("wss://h"), "wss://h/ws?inbox=manual"],
  ])("%s is an address", (url, expected) => {
    const client = new Tidewire(url, { transport: server });
    client.connect().catch(() => {});
    expect(server.socket.request.url).toBe(expected);
    client.close();
  });

  it.each([{ timeoutMs: 0 }, { timeoutMs: Infinity }, { heartbeatMs: -1 }, { connectTimeoutMs: "5" as never }, { pingTimeoutMs: NaN }])(
    "%j is no set of options",
    (options) => {
      expect(() => server.client(options)).toThrow(/number of milliseconds/);
    },
  );

  it("a token of another kind is refused when it is given", () => {
    expect(() => server.client({ token: 42 as never })).toThrow(/is a JWT/);
  });
});
