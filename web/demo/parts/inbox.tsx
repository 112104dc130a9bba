// The inbox of one user on two devices: this tab, and a phone with a connection of its own that can be taken off the air.

import { useEffect, useState, type ReactNode } from "react";
import type { InboxEntry } from "@tidewire/client/kinds";
import type { Priority } from "@tidewire/client";
import { TidewireProvider, useConnection, useInbox } from "@tidewire/client/react";
import { useSignal } from "../signal.js";
import { Card, clockText, Icon, Pill, useFollow, useWorld } from "./bits.js";

const kMoods = { critical: "bad", high: "wait", medium: "accent", low: "quiet" } as const;
const kTexts: Record<Priority, readonly string[]> = {
  critical: ["The storm gate did not close", "Pressure in tank 2 is above its limit"],
  high: ["Your build has failed", "Grace asks for a review"],
  medium: ["Your export is ready", "Three people joined the crew"],
  low: ["Weekly summary", "A new version is out"],
};

interface Fields {
  text?: unknown;
  channel?: unknown;
  data?: { text?: unknown };
  from?: { user?: { id?: unknown } };
}

export function Inboxes(): ReactNode {
  const { client, phone, who } = useWorld();
  const [priority, setPriority] = useState<Priority>("medium");
  const [count, setCount] = useState(0);
  const notify = (): void => {
    const texts = kTexts[priority];
    setCount(count + 1);
    client
      .channel<Fields>(`user:${who.name}`)
      .publish({ text: texts[count % texts.length] }, { event: "notify", priority })
      .catch(() => {});
  };
  return (
    <Card id="inbox" title="Inbox" icon="inbox" aside={<span className="hint">one user, two devices</span>}>
      <div className="controls">
        <label className="visually-hidden" htmlFor="priority">
          Priority
        </label>
        <select id="priority" value={priority} onChange={(event) => setPriority(event.currentTarget.value as Priority)}>
          {Object.keys(kTexts).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button type="button" className="primary" onClick={notify}>
          Notify me
        </button>
      </div>
      <div className="devices">
        <Device id="laptop" title="This tab" />
        <TidewireProvider client={phone}>
          <Device id="phone" title="Phone" aside={<AirplaneSwitch />} />
        </TidewireProvider>
      </div>
    </Card>
  );
}

function AirplaneSwitch(): ReactNode {
  const { phone, phoneNetwork } = useWorld();
  const isOff = useSignal(phoneNetwork.mode) === "offline";
  const flip = (): void => {
    phoneNetwork.set(isOff ? "online" : "offline");
    if (isOff) phone.connect().catch(() => {});
  };
  return (
    <button type="button" className="bare switch" role="switch" aria-checked={!isOff} aria-label="Phone is online" onClick={flip}>
      <span className="knob" />
    </button>
  );
}

function Device({ id, title, aside }: { id: string; title: string; aside?: ReactNode }): ReactNode {
  const { inbox, entries } = useInbox<Fields>();
  const isUp = useConnection().name === "connected";
  return (
    <section className={`device ${id}${isUp ? "" : " stale"}`} aria-label={title} data-device={id} data-count={entries.length}>
      <header>
        <Icon name={id} />
        <h3>{title}</h3>
        {entries.length > 0 && <span className="badge">{entries.length}</span>}
        <span className="card-aside">{aside}</span>
      </header>
      {id === "laptop" && <FollowInbox />}
      <ul className="entries">
        {entries.map((entry) => (
          <Entry key={entry.seq} entry={entry} ack={() => void inbox?.ack(entry).catch(() => {})} />
        ))}
        {entries.length === 0 && <li className="hint nothing">{isUp ? "Nothing waits." : "Off the air."}</li>}
      </ul>
      {entries.length > 1 && (
        <button type="button" className="quiet all" onClick={() => void inbox?.ackAll().catch(() => {})}>
          Done with all
        </button>
      )}
    </section>
  );
}

function FollowInbox(): null {
  useFollow(useInbox().inbox);
  return null;
}

function Entry({ entry, ack }: { entry: InboxEntry<Fields>; ack: () => void }): ReactNode {
  const priority = entry.priority ?? "medium";
  const { title, text } = wordsOf(entry);
  const [isNew, setIsNew] = useState(true);
  useEffect(() => {
    const timer = setTimeout(() => setIsNew(false), 1200);
    return () => clearTimeout(timer);
  }, []);
  return (
    <li className={`entry ${kMoods[priority]}${isNew ? " new" : ""}`} data-seq={entry.seq} data-priority={priority}>
      <span className="entry-text">
        <span>{text}</span>
        <small>
          {title}
          {priority !== "medium" && <Pill mood={kMoods[priority]}>{priority}</Pill>} <time>{clockText(entry.timestamp)}</time>
        </small>
      </span>
      <button type="button" className="bare" aria-label={`Done: ${text}`} onClick={ack}>
        ✓
      </button>
    </li>
  );
}

/** What was said in a session while its reader was away comes with where and by whom. */
function wordsOf({ event, data }: InboxEntry<Fields>): { title: string; text: string } {
  if (event === "session_message") {
    const by = String(data?.from?.user?.id ?? "somebody");
    return { title: `${by} in ${String(data?.channel ?? "").replace(/^session:/, "")}`, text: String(data?.data?.text ?? "…") };
  }
  return { title: "", text: typeof data?.text === "string" ? data.text : JSON.stringify(data) };
}
