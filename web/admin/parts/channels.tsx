// The channels in memory, and one of them in full: its members, its state, its messages as they come, and publishing.

import { useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { Card, clockText, Pill, plural } from "../../shared/pieces.js";
import { ApiError, type Api, type Entry } from "../api.js";
import { messageOf, usePoll } from "../poll.js";
import { Pages, Trouble, useApi } from "./pieces.js";

const kTail = 200;

export function Channels({ chosen, choose }: { chosen: string; choose: (channel: string) => void }): ReactNode {
  const api = useApi();
  const [prefix, setPrefix] = useState("");
  // The cursors of the pages that led here.
  const [pages, setPages] = useState<string[]>([]);
  const cursor = pages.at(-1) ?? "";
  const { value, error } = usePoll(() => api.channels(prefix, cursor), 2_000, `${prefix} ${cursor}`);
  const look = (text: string): void => {
    setPrefix(text);
    setPages([]);
  };
  return (
    <Card id="channels" title="Channels" icon="chat" aside={<span className="hint">{value && plural(value.channels.length, "channel")}</span>}>
      <Trouble text={error} />
      <div className="controls">
        <label className="visually-hidden" htmlFor="prefix">
          Beginning of the name
        </label>
        <input id="prefix" placeholder="Names that begin with…" value={prefix} onInput={(event) => look(event.currentTarget.value)} autoComplete="off" spellCheck={false} autoCapitalize="off" />
      </div>
      <div className="table-box" tabIndex={0} role="region" aria-label="List of channels">
        <table>
          <thead>
            <tr>
              <th scope="col">Channel</th>
              <th scope="col">Kind</th>
              <th scope="col">Seq</th>
              <th scope="col">Readers</th>
            </tr>
          </thead>
          <tbody>
            {value?.channels.map((row) => (
              <tr key={row.channel} data-channel={row.channel} className={row.channel === chosen ? "chosen" : ""}>
                <th scope="row">
                  <button type="button" className="bare link" onClick={() => choose(row.channel)}>
                    <code>{row.channel}</code>
                  </button>
                </th>
                <td>{row.kind}</td>
                <td className="number">{row.seq}</td>
                <td>{row.subscribers}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {value?.channels.length === 0 && <p className="hint roomy">None.</p>}
      </div>
      <Pages pages={pages} next={value?.next} turn={setPages} />
    </Card>
  );
}

export function ChannelCard({ channel }: { channel: string }): ReactNode {
  const api = useApi();
  const { value: info, error } = usePoll(() => optional(api.channel(channel)), 2_000, channel);
  const { value: members } = usePoll(() => optional(api.members(channel)), 4_000, `members ${channel}`);
  const { value: snapshot } = usePoll(() => optional(api.snapshot(channel)), 2_000, `snapshot ${channel}`);
  const tail = useTail(api, channel);
  return (
    <Card id="channel" title={channel} icon="inbox" aside={info && <Pill mood="accent">{info.kind}</Pill>}>
      <Trouble text={error || tail.error} />
      <p className="facts">
        <span>
          seq <b id="seq">{info?.seq ?? 0}</b>
        </span>
        <span>
          epoch <code>{info?.epoch ?? "–"}</code>
        </span>
        <span>{plural(info?.subscribers ?? 0, "reader")}</span>
      </p>
      {members && members.length > 0 && (
        <p className="facts">
          Present:{" "}
          {members.map((member) => (
            <Pill key={String(member.user.id)} mood="good">
              {member.user.id}
              {member.connections > 1 && ` ×${member.connections}`}
            </Pill>
          ))}
        </p>
      )}
      {snapshot && (
        <details className="state">
          <summary>State at seq {snapshot.seq}</summary>
          <pre>{JSON.stringify(snapshot.data, null, 1)}</pre>
        </details>
      )}
      <Tail entries={tail.entries} />
      <Publish key={channel} channel={channel} />
    </Card>
  );
}

function Tail({ entries }: { entries: readonly Entry[] }): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const isStuck = useRef(true);
  useEffect(() => {
    if (box.current && isStuck.current) box.current.scrollTop = box.current.scrollHeight;
  }, [entries]);
  const scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    isStuck.current = scrollHeight - scrollTop - clientHeight < 30;
  };
  return (
    <div className="tail" ref={box} onScroll={scrolled} tabIndex={0} role="region" aria-label="Messages">
      <ol>
        {entries.map((entry) => (
          <li key={`${entry.seq}-${entry.timestamp}`} data-seq={entry.seq}>
            <span className="number">#{entry.seq}</span> <time>{clockText(entry.timestamp)}</time> <b>{entry.from?.user ? String(entry.from.user.id) : "server"}</b>{" "}
            {entry.event && <Pill mood="quiet">{entry.event}</Pill>} <code>{JSON.stringify(entry.data ?? entry.merge ?? entry.patch ?? null)}</code>
          </li>
        ))}
      </ol>
      {entries.length === 0 && <p className="hint">Its log holds no messages.</p>}
    </div>
  );
}

function Publish({ channel }: { channel: string }): ReactNode {
  const api = useApi();
  const [said, setSaid] = useState("");
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    try {
      const name = String(fields.get("event"));
      const body = { channel, [String(fields.get("as"))]: JSON.parse(String(fields.get("data"))) as unknown, ...(name ? { event: name } : {}) };
      setSaid(`Published as #${(await api.publish(body)).seq}.`);
    } catch (error) {
      setSaid(error instanceof SyntaxError ? "This is not JSON: texts stand in double quotes." : messageOf(error));
    }
  };
  return (
    <form className="publish" onSubmit={(event) => void submit(event)}>
      <label className="visually-hidden" htmlFor="as">
        What it is
      </label>
      <select id="as" name="as">
        <option>data</option>
        <option>merge</option>
        <option>patch</option>
      </select>
      <label className="visually-hidden" htmlFor="event">
        Event
      </label>
      <input id="event" name="event" placeholder="event" maxLength={64} autoComplete="off" />
      <label className="visually-hidden" htmlFor="data">
        Data as JSON
      </label>
      <input id="data" name="data" className="data" required defaultValue={'{"text": "hello"}'} autoComplete="off" spellCheck={false} />
      <button type="submit" className="primary">
        Publish
      </button>
      <span className="hint" role="status">
        {said}
      </span>
    </form>
  );
}

/** The last messages of the log, and then what comes. A new epoch begins anew. */
function useTail(api: Api, channel: string): { entries: readonly Entry[]; error: string } {
  const [known, setKnown] = useState<{ channel: string; epoch: string; entries: Entry[] }>({ channel, epoch: "", entries: [] });
  const now = useRef(known);
  now.current = known;
  const { error } = usePoll(
    async () => {
      const { epoch: before, entries } = now.current.channel === channel ? now.current : { epoch: "", entries: [] };
      const page = await optional(api.history(channel, before ? (entries.at(-1)?.seq ?? 0) : null));
      if (!page) return;
      const isSame = page.epoch === before;
      const whole = isSame || !before ? page : await api.history(channel, null);
      setKnown({ channel, epoch: whole.epoch, entries: [...(isSame ? entries : []), ...whole.messages].slice(-kTail) });
    },
    1_000,
    `tail ${channel}`,
  );
  return { entries: known.channel === channel ? known.entries : [], error };
}

/** null where there is none, or none of this kind. */
async function optional<V>(promise: Promise<V>): Promise<V | null> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return null;
    throw error;
  }
}
