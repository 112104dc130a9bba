// @vitest-environment happy-dom
import { StrictMode, act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, turn } from "../../test/fake_server.js";
import type { Tidewire } from "../index.js";
import { openDocument } from "../kinds/index.js";
import { TidewireProvider, useAgentRun, useChannel, useConnection, useDocument, useInbox, usePresence, useSession, useTidewire, useUpload } from "./index.js";

let server: FakeServer;
let client: Tidewire;
let root: Root;
let page: HTMLElement;

beforeEach(async () => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
  client = await server.connected();
  page = document.createElement("div");
  root = createRoot(page);
});
afterEach(async () => {
  await act(async () => root.unmount());
  client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function show(node: ReactNode): Promise<void> {
  await act(async () => {
    root.render(<TidewireProvider client={client}>{node}</TidewireProvider>);
    await turn();
  });
}

async function happen(what: () => void = () => {}): Promise<void> {
  await act(async () => {
    what();
    await turn();
    await vi.advanceTimersByTimeAsync(1);
  });
}

describe("a provider", () => {
  it("is needed, and says so", () => {
    const Lonely = (): ReactNode => useTidewire().state.name;
    expect(() => renderToString(<Lonely />)).toThrow(/<TidewireProvider client=/);
  });

  it("works on a server too", () => {
    const Page = (): ReactNode => {
      const { messages, state } = useChannel("room:1");
      return `${useConnection().name} ${state.name} ${messages.length}`;
    };
    const html = renderToString(
      <TidewireProvider client={client}>
        <Page />
      </TidewireProvider>,
    );
    expect(html).toBe("connected idle 0");
  });
});

it("useConnection shows the state", async () => {
  const Status = (): ReactNode => useConnection().name;
  await show(<Status />);
  expect(page.textContent).toBe("connected");
  await happen(() => server.socket.cut());
  expect(page.textContent).toBe("connecting");
});

describe("useChannel", () => {
  const Room = ({ name = "room:1", keep = 3, onMessage }: { name?: string; keep?: number; onMessage?: (data: unknown) => void }): ReactNode => {
    const { messages, state } = useChannel<string>(name, { keep, history: 2, ...(onMessage ? { onMessage: ({ data }) => onMessage(data) } : {}) });
    return `${state.name}: ${messages.map(({ data }) => data).join(",")}`;
  };

  it("subscribes, shows what comes, and unsubscribes", async () => {
    await show(<Room />);
    expect(page.textContent).toBe("subscribing: ");
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", history: 2 }]);
    await happen(() => server.socket.subscribed({ seq: 2, messages: [{ seq: 1, timestamp: 1, data: "a" }, { seq: 2, timestamp: 2, data: "b" }] }));
    expect(page.textContent).toBe("subscribed: a,b");
    await happen(() => {
      for (let seq = 3; seq <= 5; seq += 1) server.socket.message("room:1", seq, `m${seq}`);
    });
    expect(page.textContent).toBe("subscribed: m3,m4,m5");
    await show(null);
    await happen();
    expect(server.socket.all("unsubscribe")).toHaveLength(1);
    expect(client.channel("room:1").state.name).toBe("idle");
  });

  it("calls the listener of the moment, for ephemeral messages too", async () => {
    const first = vi.fn();
    const second = vi.fn();
    await show(<Room onMessage={first} />);
    await happen(() => server.socket.subscribed());
    await show(<Room onMessage={second} />);
    await happen(() => server.socket.say({ type: "message", channel: "room:1", timestamp: 1, data: "typing" }));
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledWith("typing");
    expect(page.textContent).toBe("subscribed: ");
  });

  it("survives being mounted twice, as StrictMode does", async () => {
    await show(
      <StrictMode>
        <Room />
      </StrictMode>,
    );
    await happen(() => server.socket.subscribed());
    await happen(() => server.socket.message("room:1", 1, "a"));
    expect(page.textContent).toBe("subscribed: a");
    expect(server.socket.all("unsubscribe")).toEqual([]);
    expect(server.socket.all("subscribe")).toHaveLength(1);
  });

  it("shares one subscription among components, which the last one ends", async () => {
    await show([<Room key="a" />, <Room key="b" />]);
    await happen(() => server.socket.subscribed());
    await happen(() => server.socket.message("room:1", 1, "x"));
    await show([<Room key="b" />, <Room key="c" />]);
    await happen();
    expect(page.textContent).toBe("subscribed: xsubscribed: x");
    expect(server.socket.all("subscribe")).toHaveLength(1);
    expect(server.socket.all("unsubscribe")).toEqual([]);
    await show(null);
    await happen();
    expect(server.socket.all("unsubscribe")).toHaveLength(1);
  });

  it("changes the channel with its name", async () => {
    await show(<Room />);
    await happen(() => server.socket.subscribed());
    await happen(() => server.socket.message("room:1", 1, "x"));
    await show(<Room name="room:2" />);
    await happen(() => server.socket.subscribed());
    expect(page.textContent).toBe("subscribed: ");
    expect(server.socket.all("unsubscribe")).toMatchObject([{ channel: "room:1" }]);
  });

  it("leaves alone what the application has subscribed itself", async () => {
    const ready = client.channel("room:1").subscribe();
    await turn();
    server.socket.subscribed();
    await ready;
    await show(<Room />);
    await show(null);
    await happen();
    expect(client.channel("room:1").state.name).toBe("subscribed");
  });

  it("shows a refusal", async () => {
    await show(<Room />);
    const { id } = server.socket.last("subscribe");
    await happen(() => server.socket.say({ type: "error", id, request: "subscribe", channel: "room:1", code: "forbidden", message: "no" }));
    expect(page.textContent).toBe("failed: ");
  });
});

describe("usePresence", () => {
  const ann = { user: { id: 1, type: "user" }, connections: 1, data: { name: "Ann" } };
  const People = ({ data }: { data?: object | undefined }): ReactNode =>
    usePresence<{ name: string }>("room:1", data as { name: string })
      .members.map((member) => member.data?.name)
      .join(",");

  it("shows who is there, and is there itself with its data", async () => {
    await show(<People data={{ name: "Ann" }} />);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", presence: true }]);
    expect(server.socket.all("presence")).toMatchObject([{ action: "enter", data: { name: "Ann" } }]);
    await happen(() => server.socket.say({ type: "presence", id: server.socket.last("presence").id, channel: "room:1", members: [ann] }));
    expect(page.textContent).toBe("Ann");
    await show(<People data={{ name: "Ann" }} />);
    await show(<People data={{ name: "Anna" }} />);
    expect(server.socket.all("presence").map(({ action }) => action)).toEqual(["enter", "update"]);
    await happen(() => server.socket.say({ type: "presence_event", channel: "room:1", action: "leave", member: ann }));
    expect(page.textContent).toBe("");
    await show(null);
    expect(server.socket.all("presence").map(({ action }) => action)).toEqual(["enter", "update", "leave"]);
  });

  it("only looks on without data", async () => {
    await show(<People />);
    await show(null);
    expect(server.socket.all("presence")).toEqual([]);
  });

  it("takes a document", async () => {
    const plan = openDocument(client, "doc:1");
    const Editors = (): ReactNode => usePresence(plan).members.length;
    await show(<Editors />);
    await happen(() => server.socket.subscribed({ members: [ann] }));
    expect(page.textContent).toBe("1");
  });
});

it("useDocument shows the value with what is not answered yet", async () => {
  const Plan = (): ReactNode => {
    const { value, document: plan } = useDocument<{ title: string }>("doc:1");
    return <button onClick={() => void plan.merge({ title: "mine" }).catch(() => {})}>{value === undefined ? "…" : (value?.title ?? "empty")}</button>;
  };
  await show(<Plan />);
  expect(page.textContent).toBe("…");
  await happen(() => server.socket.subscribed({ kind: "document", seq: 1, snapshot: { seq: 1, data: { title: "theirs" } } }));
  expect(page.textContent).toBe("theirs");
  await happen(() => page.querySelector("button")!.click());
  expect(page.textContent).toBe("mine");
  await happen(() => server.socket.refuse("publish", "conflict"));
  expect(page.textContent).toBe("theirs");
});

describe("useSession", () => {
  const Chat = ({ join = true }: { join?: boolean }): ReactNode => {
    const { members, messages, session, state } = useSession<string>("session:1", { history: 5, join });
    return `${session.name} ${state.name}: ${messages.map(({ data }) => data).join(",")} / ${members.map(({ user, unread }) => `${user}:${unread}`).join(",")}`;
  };
  const members = [
    { user: 1, role: "owner", read: 1, unread: 0 },
    { user: 2, role: "member", read: 1, unread: 0 },
  ];
  const enter = (): Promise<void> => happen(() => server.socket.subscribed({ kind: "session", seq: 1, snapshot: { seq: 1, data: { members, last_seq: 1 } } }));
  const refuseIt = (code = "forbidden"): Promise<void> =>
    happen(() => {
      const { id } = server.socket.last("subscribe");
      server.socket.say({ type: "error", id, request: "subscribe", channel: "session:1", code, message: "no" });
    });

  it("shows members and messages without joining again who is a member", async () => {
    await show(<Chat />);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "session:1", history: 5 }]);
    await enter();
    expect(page.textContent).toBe("session:1 subscribed:  / 1:0,2:0");
    await happen(() => server.socket.message("session:1", 2, "a", { from: { user: { id: 1, type: "user" } } }));
    expect(page.textContent).toBe("session:1 subscribed: a / 1:0,2:1");
    expect(server.socket.all("publish")).toEqual([]);
  });

  it("joins who is no member, once", async () => {
    await show(<Chat />);
    await refuseIt();
    expect(server.socket.all("publish")).toMatchObject([{ channel: "session:1", event: "join", data: {} }]);
    await happen(() => server.socket.published(1));
    expect(server.socket.all("subscribe")).toHaveLength(2);
    await enter();
    expect(page.textContent).toContain("subscribed");
    await happen(() => server.socket.say({ type: "unsubscribed", channel: "session:1", code: "forbidden" }));
    expect(page.textContent).toContain("failed");
    expect(server.socket.all("publish")).toHaveLength(1);
  });

  it("only shows the refusal where it was not to join, or can't", async () => {
    await show(<Chat join={false} />);
    await refuseIt();
    expect(page.textContent).toContain("failed");
    expect(server.socket.all("publish")).toEqual([]);
    await show(<Chat />);
    await happen(() => server.socket.refuse("publish", "forbidden"));
    expect(page.textContent).toContain("failed");
    expect(server.socket.all("subscribe")).toHaveLength(1);
  });
});

describe("useInbox", () => {
  const Bell = (): ReactNode => {
    const { inbox, entries, counts } = useInbox<string>();
    return `${inbox ? inbox.name : "nobody"} ${entries.map(({ data }) => data).join(",")} ${counts.high}`;
  };

  it("shows what waits for the user, also over a reconnect", async () => {
    await show(<Bell />);
    await happen(() => server.socket.subscribed({ kind: "inbox", seq: 2, snapshot: { seq: 2, data: { pending: [{ seq: 2, timestamp: 1, data: "b", priority: "high" }] } } }));
    expect(page.textContent).toBe("user:1 b 1");
    await happen(() => server.socket.message("user:1", 3, "c"));
    expect(page.textContent).toBe("user:1 b,c 1");
    await happen(() => server.socket.cut());
    expect(page.textContent).toBe("user:1 b,c 1");
  });

  it("is nobody's before there is a user", async () => {
    client.close();
    client = server.client();
    await show(<Bell />);
    expect(page.textContent).toBe("nobody  0");
    expect(client.state.name).toBe("connecting");
    await happen(() => server.socket.welcome());
    expect(page.textContent).toBe("user:1  0");
  });
});

it("useUpload and useAgentRun show the state", async () => {
  const Work = (): ReactNode => {
    const { percent, status, upload } = useUpload("upload:1");
    const { text, run } = useAgentRun("agent:1");
    return `${upload.name} ${status} ${percent} ${run.name} ${text}`;
  };
  await show(<Work />);
  expect(page.textContent).toBe("upload:1 pending null agent:1 ");
  await happen(() => server.socket.subscribed({ kind: "any", snapshot: undefined }));
  await happen(() => {
    server.socket.say({ type: "message", channel: "upload:1", seq: 1, timestamp: 1, event: "progress", data: { bytes: 5, total: 10 } });
    server.socket.say({ type: "message", channel: "agent:1", seq: 1, timestamp: 1, event: "delta", data: { text: "Hello" } });
  });
  expect(page.textContent).toBe("upload:1 active 50 agent:1 Hello");
});
