// The last minutes of the server: what was asked of it, how fast it was, how its connections do, and what stood out.

import { useState, type ReactNode } from "react";
import { bytesText, Card, clockText, msText, Pill, plural, Tile } from "../../shared/pieces.js";
import type { Analytics as Figures, Percentiles } from "../api.js";
import { usePoll } from "../poll.js";
import { Trouble, useApi } from "./pieces.js";

const kWindows = ["1m", "5m", "15m"];
const kGrades: Record<string, "good" | "wait" | "bad"> = { HEALTHY: "good", DEGRADED: "wait", UNHEALTHY: "bad" };
const kPercentiles: [keyof Percentiles, string][] = [
  ["p50_ms", "p50"],
  ["p90_ms", "p90"],
  ["p99_ms", "p99"],
  ["p999_ms", "p99.9"],
  ["max_ms", "max"],
];

export function Analytics(): ReactNode {
  const api = useApi();
  const [span, setSpan] = useState("5m");
  const { value, error } = usePoll(() => api.analytics(span), 5_000, span);
  const choice = (
    <select aria-label="Time looked at" value={span} onChange={(event) => setSpan(event.currentTarget.value)}>
      {kWindows.map((one) => (
        <option key={one} value={one}>
          {one.replace("m", " min")}
        </option>
      ))}
    </select>
  );
  return (
    <Card id="analytics" title="The last minutes" icon="wave" aside={choice}>
      <Trouble text={error} />
      {value && <Sections figures={value} />}
    </Card>
  );
}

function Sections({ figures }: { figures: Figures }): ReactNode {
  const { traffic, refusals, latency, health, top_talkers: talkers, anomalies, circuits, overload } = figures;
  const types = Object.entries(traffic.by_type).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  return (
    <div className="sections">
      <Section title="Requests by type" id="types">
        <Bars rows={types.map(([name, count]) => ({ name, size: count, text: countText(count) }))} />
      </Section>
      <Section title="Latency" id="latency">
        <Latency name="a WebSocket request, from read to answered" of={latency.request} />
        <Latency name="an HTTP call, from read to answered" of={latency.http} />
        <Latency name="a round trip to the client" of={latency.round_trip} />
      </Section>
      <Section title="Health of connections" id="health">
        <Health counts={health} />
        <dl className="tiles">
          <Tile name="Malformed" value={countText(refusals.malformed)} />
          <Tile name="Rate limited" value={countText(refusals.rate_limited)} />
          <Tile name="Bad tokens" value={countText(refusals.auth_failures)} />
          <Tile name="Load" value={<Pill mood={overload.step === "calm" ? "good" : "bad"}>{overload.step}</Pill>} />
        </dl>
      </Section>
      <Section title="Top talkers" id="talkers">
        <Bars
          rows={talkers.map(({ user, address, messages, messages_error: atMost, bytes }) => ({
            name: user ?? address ?? "anonymous",
            size: messages,
            text: `${atMost > 0 ? "≤ " : ""}${countText(messages)}, ${bytesText(bytes)}`,
          }))}
        />
      </Section>
      <Section title="Unusual behaviour" id="anomalies">
        {anomalies.length === 0 && <p className="hint">None.</p>}
        <ol className="events">
          {anomalies.map(({ at, kind, user, address, score, evidence, action }) => (
            <li key={`${at} ${kind} ${user ?? address}`}>
              <time>{clockText(at)}</time> <b>{user ?? address ?? "everybody"}</b> <Pill mood="wait">{kind}</Pill>{" "}
              <span className="hint">
                {evidence} (score {score.toFixed(1)}, {action})
              </span>
            </li>
          ))}
        </ol>
      </Section>
      <Section title="Circuits" id="circuits">
        {circuits.length === 0 && <p className="hint">None.</p>}
        <ul className="events">
          {circuits.map(({ name, state, history }) => (
            <li key={name}>
              <b>{name}</b> <Pill mood={state === "closed" ? "good" : state === "open" ? "bad" : "wait"}>{state.replace("_", " ")}</Pill>{" "}
              <span className="hint">
                {history.length === 0 ? "no change" : history.slice(-4).map(({ at, to }) => `${clockText(at)} ${to.replace("_", " ")}`).join(", ")}
              </span>
            </li>
          ))}
        </ul>
      </Section>
    </div>
  );
}

function Section({ title, id, children }: { title: string; id: string; children: ReactNode }): ReactNode {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>{title}</h3>
      {children}
    </section>
  );
}

interface Bar {
  name: string;
  size: number;
  text: string;
}

/** Each against the largest; `scale` says how long a bar is for its size. */
function Bars({ rows, scale = (size) => size }: { rows: readonly Bar[]; scale?: (size: number) => number }): ReactNode {
  const most = Math.max(...rows.map(({ size }) => scale(size)), Number.MIN_VALUE);
  if (rows.length === 0) return <p className="hint">None.</p>;
  return (
    <dl className="bars">
      {rows.map(({ name, size, text }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd style={{ "--share": Math.max(0, scale(size) / most) } as object}>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Logarithmic: from the median to the worst there may be a thousand. */
function Latency({ name, of }: { name: string; of: Percentiles }): ReactNode {
  const rows = kPercentiles.map(([key, label]) => ({ name: label, size: of[key] ?? 0, text: msText(of[key] ?? 0) }));
  return (
    <>
      <h4>
        {name}, {plural(of.count, "sample")}
      </h4>
      {of.count > 0 && <Bars rows={rows} scale={(ms) => Math.log10(1 + ms * 10)} />}
    </>
  );
}

function Health({ counts }: { counts: Record<string, number> }): ReactNode {
  return (
    <>
      <div className="shares" aria-hidden="true">
        {Object.entries(counts).map(([grade, count]) => count > 0 && <span key={grade} className={kGrades[grade] ?? "quiet"} style={{ "--share": count } as object} />)}
      </div>
      <p className="grades">
        {Object.entries(counts).map(([grade, count]) => (
          <Pill key={grade} mood={kGrades[grade] ?? "quiet"}>
            {count} {grade.toLowerCase()}
          </Pill>
        ))}
      </p>
    </>
  );
}

const kShort = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function countText(count: number): string {
  return count < 10_000 ? String(count) : kShort.format(count);
}
