// The chat: a session channel. Its members stay members while they are away; what is said then waits in their inboxes.

import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type FormEvent, type ReactNode } from "react";
import { TidewireError, type Message } from "@tidewire/client";
import type { SessionChannel } from "@tidewire/client/kinds";
import { useChannel, useConnection, useSession } from "@tidewire/client/react";
import { readersOf, transcriptOf, type Line, type News } from "../transcript.js";
import { addressOf } from "../who.js";
import { Avatar, Card, clockText, Icon, plural, useClock, useFollow, useWorld } from "./bits.js";
import { Members } from "./members.js";

interface Words {
  text: string;
  id: string;
}

/** An own message that the server has not told of yet. */
interface Pending extends Words {
  error?: string;
}

const kTypingMs = 4_000;
const kForeverMs = 2 ** 31 - 1;

export function Chat(): ReactNode {
  const { who, names } = useWorld();
  const typing = useTyping(who.name);
  const { session, state, messages, members } = useSession<Words>(names.session, { history: 300, keep: 1000, join: true, onMessage: typing.heard });
  useFollow(session);
  const waves = useWaves();
  const transcript = useMemo(() => transcriptOf(messages, waves.news), [messages, waves.news]);
  const readers = useMemo(() => readersOf(transcript.lines, members, who.name), [transcript, members]);
  const { pending, say } = useOwnWords(session, transcript.ids);
  const scroll = useScroll(transcript.lines.length + pending.length, transcript.lines);
  useReading(session, transcript.lastSaidSeq, scroll.isAtEnd);
  const isEmpty = transcript.lines.every((line) => line.what === "note") && pending.length === 0;
  return (
    <Card id="chat" title="Chat" icon="chat" aside={<WaveButton wave={waves.wave} />}>
      <span className="waves" aria-live="polite">
        {waves.shown.map(({ key, by }) => (
          <span className="wave" key={key}>
            <Icon name="wave" /> {by === who.name ? "You wave" : `${by} waves`}
          </span>
        ))}
      </span>
      <Members session={session} members={members} />
      <Banner />
      {state.name === "failed" && <p className="banner bad">{state.error.message}</p>}
      <div className="scroll" ref={scroll.box} onScroll={scroll.scrolled} tabIndex={0} role="region" aria-label="Conversation">
        {isEmpty && <Empty room={who.room} />}
        <div role="log" aria-live="polite" aria-relevant="additions" aria-label="Messages">
          <ol className="messages">
            {transcript.lines.map((line) => (
              <Row key={line.key} line={line} me={who.name} readers={line.what === "said" ? (readers.get(line.seq) ?? []) : []} session={session} />
            ))}
            {pending.map((words) => (
              <PendingRow key={words.id} words={words} retry={() => say(words.text, words.id)} />
            ))}
          </ol>
        </div>
      </div>
      {scroll.unseen > 0 && (
        <button type="button" className="newer" onClick={scroll.toEnd}>
          ↓ {plural(scroll.unseen, "new message")}
        </button>
      )}
      <p className="typing" aria-live="polite">
        {typing.names.length > 0 && `${typing.names.join(", ")} ${typing.names.length === 1 ? "is" : "are"} typing`}
      </p>
      <Composer say={(text) => say(text)} typing={() => session.typing()} />
    </Card>
  );
}

function Row({ line, me, readers, session }: { line: Line; me: string; readers: string[]; session: SessionChannel<any> }): ReactNode {
  if (line.what === "note") return <li className="note">{line.text}</li>;
  if (line.what === "news") return <NewsRow line={line} />;
  const isOwn = line.by === me;
  return (
    <li className={`message${isOwn ? " own" : ""}${line.isMore ? " more" : ""}`} data-seq={line.seq}>
      <Avatar name={line.by} />
      <span className="author">{line.by}</span>
      <div className="line">
        <div className="bubble">{line.text}</div>
        <span className="meta">
          <span className="number">#{line.seq}</span>
          <time dateTime={new Date(line.atMs).toISOString()}>{clockText(line.atMs)}</time>
          {line.isEdited && <span>edited</span>}
          {line.flags.map((flag) => (
            <span key={flag} className="flag">
              ⚑ {flag}
            </span>
          ))}
          {isOwn && (
            <button type="button" className="bare" aria-label={`Delete message ${line.seq}`} onClick={() => void session.remove(line.seq).catch(() => {})}>
              <Icon name="trash" />
            </button>
          )}
        </span>
      </div>
      {readers.length > 0 && (
        <span className="readers" title={`Read by ${readers.join(", ")}`} aria-label={`Read by ${readers.join(", ")}`} role="img" data-readers={readers.join(",")}>
          {readers.slice(0, 5).map((name) => (
            <Avatar key={name} name={name} small />
          ))}
        </span>
      )}
    </li>
  );
}

function PendingRow({ words, retry }: { words: Pending; retry: () => void }): ReactNode {
  return (
    <li className={`message own more ${words.error ? "failed" : "pending"}`}>
      <div className="line">
        <div className="bubble">{words.text}</div>
        <span className="meta">
          {words.error ? (
            <>
              not sent: {words.error}{" "}
              <button type="button" onClick={retry}>
                try again
              </button>
            </>
          ) : (
            "waiting…"
          )}
        </span>
      </div>
    </li>
  );
}

function Composer({ say, typing }: { say: (text: string) => void; typing: () => void }): ReactNode {
  const [text, setText] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (text.trim()) say(text.trim());
    setText("");
  };
  const changed = (value: string): void => {
    setText(value);
    if (value) typing();
  };
  return (
    <form className="composer" onSubmit={submit}>
      <label className="visually-hidden" htmlFor="text">
        Message
      </label>
      <input id="text" value={text} onInput={(event) => changed(event.currentTarget.value)} maxLength={1000} placeholder="Write a message" autoComplete="off" enterKeyHint="send" />
      <button className="primary" type="submit">
        Send
      </button>
    </form>
  );
}

/** What to expect while there is no connection. */
function Banner(): ReactNode {
  const world = useWorld();
  const state = useConnection();
  const now = useClock(500, state.name === "waiting");
  const [wasUp, setWasUp] = useState(false);
  useEffect(() => {
    if (state.name === "connected") setWasUp(true);
  }, [state.name]);
  if (state.name === "connected" || state.name === "idle" || (state.name === "connecting" && !wasUp)) return null;
  const seconds = state.name === "waiting" ? Math.max(1, Math.ceil((state.retryAtMs - now) / 1000)) : 0;
  return (
    <div className="banner" role="status">
      <span>
        {state.name === "waiting" && `No connection. Next try in ${seconds} s. What you write waits and goes out in order.`}
        {state.name === "connecting" && "Connecting again…"}
        {state.name === "closed" && `Closed${state.error ? `: ${state.error.message}` : ""}.`}
      </span>
      {state.name !== "connecting" && (
        <button type="button" onClick={() => world.retry()}>
          Try now
        </button>
      )}
    </div>
  );
}

function Empty({ room }: { room: string }): ReactNode {
  return (
    <div className="empty">
      <img src="favicon.svg" alt="" width="44" height="44" />
      <p>Nothing has been said here yet.</p>
      <p>
        <a href={addressOf(room)} target="_blank" rel="noopener">
          Open a second tab
        </a>{" "}
        as somebody else and talk to yourself.
      </p>
    </div>
  );
}

function NewsRow({ line }: { line: News }): ReactNode {
  const { names } = useWorld();
  return (
    <li className="news" data-news={line.seq}>
      <span className="bubble">{line.text}</span>
      <span className="meta">
        <code>{names.room}</code> <span className="number">#{line.seq}</span> by {line.by}
        <time dateTime={new Date(line.atMs).toISOString()}>{clockText(line.atMs)}</time>
      </span>
    </li>
  );
}

function WaveButton({ wave }: { wave: () => void }): ReactNode {
  return (
    <button type="button" className="quiet" onClick={wave}>
      <Icon name="wave" /> Wave
    </button>
  );
}

/**
 * The room's stream: waves, which go to whoever is there now and are kept nowhere (ephemeral), and what others publish to
 * it, a back end with one HTTP call for example.
 */
function useWaves(): { news: readonly Message<any>[]; shown: { key: string; by: string }[]; wave: () => void } {
  const { names } = useWorld();
  const [shown, setShown] = useState<{ key: string; by: string }[]>([]);
  const heard = (message: Message<any>): void => {
    if (message.event !== "wave") return;
    const key = `${message.timestamp}-${Math.random()}`;
    setShown((before) => [...before.slice(-4), { key, by: String(message.from?.user?.id ?? "server") }]);
    setTimeout(() => setShown((before) => before.filter((wave) => wave.key !== key)), 2600);
  };
  const { channel, messages } = useChannel(names.room, { history: 20, onMessage: heard });
  return { news: messages, shown, wave: () => void channel.publish({}, { event: "wave", ephemeral: true }).catch(() => {}) };
}

/** Own messages until they come back numbered. The outbox keeps them over a reload, too. */
function useOwnWords(session: SessionChannel<Words>, arrived: ReadonlySet<string>): { pending: Pending[]; say: (text: string, id?: string) => void } {
  const [all, setAll] = useState<Pending[]>([]);
  const say = useCallback(
    (text: string, id: string = crypto.randomUUID()) => {
      setAll((before) => [...before.filter((words) => words.id !== id), { text, id }]);
      session.publish({ text, id }, { key: id, timeoutMs: kForeverMs }).catch((error: TidewireError) => {
        if (!error.queued && error.code !== "closed") setAll((before) => before.map((words) => (words.id === id ? { ...words, error: error.message } : words)));
      });
    },
    [session],
  );
  useEffect(() => {
    setAll((before) => (before.some(({ id }) => arrived.has(id)) ? before.filter(({ id }) => !arrived.has(id)) : before));
  }, [arrived]);
  return { pending: all.filter(({ id }) => !arrived.has(id)), say };
}

/** Who is typing: a sign is good for some seconds, or until what was typed arrives. */
function useTyping(me: string): { names: string[]; heard: (message: Message<any>) => void } {
  const [until, setUntil] = useState<Readonly<Record<string, number>>>({});
  const heard = (message: Message<any>): void => {
    const name = String(message.from?.user?.id ?? "");
    if (!name || name === me) return;
    if (message.event === "typing") setUntil((before) => ({ ...before, [name]: Date.now() + kTypingMs }));
    else if (message.seq !== undefined && (message.event ?? "message") === "message") setUntil((before) => ({ ...before, [name]: 0 }));
  };
  const now = useClock(500, Object.values(until).some((ms) => ms > 0));
  const names = Object.keys(until).filter((name) => until[name]! > now);
  useEffect(() => {
    if (names.length === 0 && Object.keys(until).length > 0) setUntil({});
  }, [names.length]);
  return { names, heard };
}

/** Marks as read what stands at the end of a page that is looked at. */
function useReading(session: SessionChannel<any>, lastSaidSeq: number, isAtEnd: () => boolean): void {
  useEffect(() => {
    const look = (): void => {
      if (lastSaidSeq && document.visibilityState === "visible" && isAtEnd()) session.read(lastSaidSeq).catch(() => {});
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [session, lastSaidSeq]);
}

/** Stays at the end while it is there; otherwise counts what has come below. */
function useScroll(count: number, lines: readonly Line[]) {
  const box = useRef<HTMLDivElement>(null);
  const isStuck = useRef(true);
  const seen = useRef(0);
  const [unseen, setUnseen] = useState(0);
  const toEnd = useCallback(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
    isStuck.current = true;
    setUnseen(0);
  }, []);
  useLayoutEffect(() => {
    if (isStuck.current) toEnd();
    else setUnseen((before) => Math.max(0, before + count - seen.current));
    seen.current = count;
  }, [count, lines]);
  useEffect(() => {
    const watch = new ResizeObserver(() => isStuck.current && toEnd());
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  const scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    isStuck.current = scrollHeight - scrollTop - clientHeight < 40;
    if (isStuck.current) setUnseen(0);
  };
  return { box, unseen, toEnd, scrolled, isAtEnd: () => isStuck.current };
}
