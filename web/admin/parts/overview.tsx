// What the server does right now, and how its parts are.

import { useEffect, useState, type ReactNode } from "react";
import { Chart } from "../../shared/chart.js";
import { bytesText, Card, Pill, Tile, upText } from "../../shared/pieces.js";
import type { Stats } from "../api.js";
import { usePoll } from "../poll.js";
import { Trouble, useApi } from "./pieces.js";

const kEveryMs = 1_000;
const kRoom = 60;

export function Overview(): ReactNode {
  const api = useApi();
  const { value: stats, error } = usePoll(api.stats, kEveryMs, "stats");
  const { value: health } = usePoll(api.health, 5_000, "health");
  const [past, setPast] = useState<Stats["rates"][]>([]);
  useEffect(() => {
    if (stats) setPast((before) => [...before, stats.rates].slice(-kRoom));
  }, [stats]);
  const of = (name: keyof Stats["rates"]): number[] => past.map((rates) => rates[name]);
  return (
    <Card id="overview" title="Server" icon="dashboard" aside={health && <span className="hint">{health.version}</span>}>
      <Trouble text={error} />
      <dl className="tiles" id="tiles">
        <Tile name="Connections" value={stats?.connections} />
        <Tile name="Users" value={stats?.users} />
        <Tile name="Channels" value={stats?.channels} />
        <Tile name="Up" value={stats && upText(stats.uptime_s)} />
      </dl>
      <div className="charts">
        <Chart title="Messages a second" room={kRoom} series={{ out: of("messages_out"), in: of("messages_in") }} text={(figure) => figure.toFixed(figure < 10 ? 1 : 0)} />
        <Chart title="Bytes a second" room={kRoom} series={{ out: of("bytes_out"), in: of("bytes_in") }} text={(figure) => bytesText(Math.round(figure))} />
      </div>
      <ul className="components" aria-label="Components">
        {Object.entries(health?.components ?? {}).map(([name, { state, latency_ms: latencyMs, detail }]) => (
          <li key={name} title={detail}>
            {name} <Pill mood={state === "ok" ? "good" : state === "off" ? "quiet" : state === "degraded" ? "wait" : "bad"}>{state}</Pill>
            {latencyMs !== null && <small className="hint"> {latencyMs} ms</small>}
          </li>
        ))}
      </ul>
    </Card>
  );
}
