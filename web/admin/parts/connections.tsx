// Who is connected, and ending it.

import { useState, type ReactNode } from "react";
import { Card, Pill, plural, useClock } from "../../shared/pieces.js";
import type { Connection } from "../api.js";
import { messageOf, usePoll } from "../poll.js";
import { ageText, Pages, SureButton, Trouble, useApi } from "./pieces.js";

interface Group {
  /** null: nobody in particular. */
  user: string | null;
  connections: Connection[];
}

export function Connections(): ReactNode {
  const api = useApi();
  const [pages, setPages] = useState<string[]>([]);
  const cursor = pages.at(-1) ?? "";
  const { value: page, error, again } = usePoll(() => api.connections(cursor), 2_000, `connections ${cursor}`);
  const value = page?.connections;
  const [filter, setFilter] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const groups = groupsOf(value ?? []).filter(({ user }) => (user ?? "anonymous").toLowerCase().includes(filter.toLowerCase()));
  const now = useClock(1_000);
  return (
    <Card id="connections" title="Connections" icon="network" aside={
        <span className="hint">
          {value && plural(value.length, "connection")}
          {(cursor || page?.next) && " on this page"}
        </span>
      }>
      <Trouble text={error} />
      <div className="controls">
        <label className="visually-hidden" htmlFor="user-filter">
          Find a user
        </label>
        <input id="user-filter" placeholder="Find a user" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} autoComplete="off" spellCheck={false} />
        {filter && !groups.some(({ user }) => user === filter) && (
          <button type="button" onClick={() => setChosen(filter)}>
            Look up
          </button>
        )}
      </div>
      <div className="table-box" tabIndex={0} role="region" aria-label="List of connections">
        <table>
          <thead>
            <tr>
              <th scope="col">User</th>
              <th scope="col">Connections</th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {groups.map(({ user, connections }) => (
              <tr key={user ?? ""} data-user={user ?? ""} className={user !== null && user === chosen ? "chosen" : ""}>
                <th scope="row">
                  {user === null ? (
                    <span className="hint">anonymous</span>
                  ) : (
                    <button type="button" className="bare link" onClick={() => setChosen(user)}>
                      {user}
                    </button>
                  )}
                </th>
                <td>{connections.length}</td>
                <td>{ageText(Math.min(...connections.map((connection) => connection.connected_at)), now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {value && groups.length === 0 && <p className="hint roomy">Nobody.</p>}
      </div>
      <Pages pages={pages} next={page?.next} turn={setPages} />
      {chosen !== null && <User key={chosen} id={chosen} changed={again} close={() => setChosen(null)} />}
    </Card>
  );
}

function User({ id, changed, close }: { id: string; changed: () => void; close: () => void }): ReactNode {
  const api = useApi();
  const { value, error, again } = usePoll(() => api.user(id), 2_000, id);
  const [said, setSaid] = useState("");
  const now = useClock(1_000);
  const act = (what: () => Promise<{ disconnected: number }>, text: string): void => {
    what()
      .then(({ disconnected }) => setSaid(`${text}: ${plural(disconnected, "connection")} ended.`))
      .catch((problem) => setSaid(messageOf(problem)))
      .finally(() => {
        again();
        changed();
      });
  };
  return (
    <section className="detail" id="user" aria-label={`User ${id}`} data-user={id}>
      <header>
        <h3>{id}</h3>
        <Pill mood={value?.online ? "good" : "quiet"}>{value ? (value.online ? "online" : "offline") : "…"}</Pill>
        <button type="button" className="bare" aria-label="Close" onClick={close}>
          ✕
        </button>
      </header>
      <Trouble text={error} />
      <ul>
        {value?.connections.map((connection) => (
          <li key={connection.connection_id}>
            <code>{connection.connection_id}</code> <span className="hint">{ageText(connection.connected_at, now)}</span>{" "}
            <Pill mood={connection.health === "HEALTHY" ? "good" : connection.health === "DEGRADED" ? "wait" : "bad"}>{connection.health.toLowerCase()}</Pill>
          </li>
        ))}
      </ul>
      <div className="actions">
        <SureButton sure="Really disconnect?" act={() => act(() => api.disconnect(id), "Disconnected")}>
          Disconnect
        </SureButton>
        <SureButton sure="Really revoke?" act={() => act(() => api.revoke(id), "All tokens of before now are revoked")}>
          Revoke tokens
        </SureButton>
        <span className="hint" role="status">
          {said}
        </span>
      </div>
    </section>
  );
}

function groupsOf(connections: readonly Connection[]): Group[] {
  const groups = new Map<string | null, Connection[]>();
  for (const connection of connections) {
    const user = connection.user === null ? null : String(connection.user);
    groups.set(user, [...(groups.get(user) ?? []), connection]);
  }
  return [...groups].map(([user, list]) => ({ user, connections: list })).sort((a, b) => String(a.user ?? "\uffff").localeCompare(String(b.user ?? "\uffff")));
}
