// What the connection does, and the switch that breaks it.

import { useState, type ReactNode } from "react";
import { useConnection } from "@tidewire/client/react";
import type { Frame, Mode } from "../network.js";
import { useSignal } from "../signal.js";
import type { Followed, Verdict } from "../world.js";
import { Card, clockText, msText, Pill, Tile, useWorld } from "./bits.js";

const kModes: readonly [Mode, string, string][] = [
  ["online", "Online", "Everything passes"],
  ["slow", "Slow", "Everything comes 450 ms late, both ways"],
  ["stalled", "Stalled", "Nothing passes, and nobody says so: half open"],
  ["offline", "Off", "As if the cable were pulled"],
];

export function NetworkSwitch({ id }: { id: string }): ReactNode {
  const world = useWorld();
  const mode = useSignal(world.network.mode);
  return (
    <fieldset className="segments" data-mode={mode}>
      <legend className="visually-hidden">Network of this tab</legend>
      {kModes.map(([name, text, what]) => (
        <label key={name} title={what} className={mode === name ? "chosen" : ""}>
          <input type="radio" className="visually-hidden" name={`mode-${id}`} value={name} checked={mode === name} onChange={() => world.breakIt(name)} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

const kMoods = { idle: "quiet", connecting: "wait", connected: "good", waiting: "wait", closed: "bad" } as const;

export function StatePill(): ReactNode {
  const { network } = useWorld();
  const { name } = useConnection();
  const tripMs = useSignal(network.traffic).tripsMs.at(-1);
  return (
    <span className="bar-state" id="state" data-state={name}>
      {name === "connected" && tripMs !== undefined && <span className="latency">{msText(tripMs)}</span>}
      <Pill mood={kMoods[name]}>{name}</Pill>
    </span>
  );
}

export function NetworkCard(): ReactNode {
  const world = useWorld();
  const state = useConnection();
  const { sent, received, tripsMs } = useSignal(world.network.traffic);
  const comebacks = useSignal(world.comebacks);
  const rows = useSignal(world.followed);
  const last = tripsMs.at(-1);
  const gaps = rows.reduce((sum, row) => sum + row.gaps, 0);
  return (
    <Card id="network" title="Network" icon="network" aside={<NetworkSwitch id="card" />}>
      <div className="network-parts">
        <div>
          <div className="trip">
            <div>
              <span className="trip-value" id="latency">
                {last === undefined ? "–" : msText(last)}
              </span>
              <span className="hint">round trip</span>
            </div>
            <Spark tripsMs={tripsMs} />
          </div>
          <dl className="tiles">
            <Tile name="State" id="fact-state" value={state.name} />
            <Tile name="Sent" id="sent" value={sent} />
            <Tile name="Received" id="received" value={received} />
            <Tile name="Came back" id="comebacks" value={comebacks} />
            <Tile name="Gaps" id="gaps" value={gaps} />
          </dl>
          <p className="hint" id="why">
            {state.name === "waiting" || (state.name === "closed" && state.error) ? `${state.error!.code}: ${state.error!.message}` : "Or stop the server itself, kill -9 if you like: what you write waits and goes out in order."}
          </p>
        </div>
        <div className="positions-box" tabIndex={0} role="region" aria-label="Positions">
          <table className="positions" id="positions">
            <thead>
              <tr>
                <th scope="col">Channel</th>
                <th scope="col">Seq</th>
                <th scope="col">Epoch</th>
                <th scope="col">Last resume</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Position key={row.channel} row={row} />
              ))}
            </tbody>
          </table>
        </div>
      </div>
      <FrameLog />
    </Card>
  );
}

function Position({ row }: { row: Followed }): ReactNode {
  const { channel, state, position, verdict, gaps } = row;
  return (
    <tr data-channel={channel} data-seq={position?.seq} data-verdict={verdict ? verdictOf(verdict) : ""} className={state === "subscribed" ? "" : "stale"}>
      <th scope="row">
        <code>{channel}</code>
        <small>{verdict?.kind}</small>
      </th>
      <td className="number">{position?.seq ?? "–"}</td>
      <td className="number epoch" title={position?.epoch}>
        {position?.epoch.slice(0, 8) ?? "–"}
      </td>
      <td>
        {state === "subscribed" && verdict ? <VerdictPill verdict={verdict} /> : <Pill mood={state === "failed" ? "bad" : "wait"}>{state}</Pill>}
        {gaps > 0 && <small> {gaps} gaps</small>}
      </td>
    </tr>
  );
}

function verdictOf({ recovered, reason }: Verdict): string {
  return recovered === undefined ? "fresh" : recovered ? "recovered" : (reason ?? "not recovered");
}

function VerdictPill({ verdict }: { verdict: Verdict }): ReactNode {
  const text = verdictOf(verdict);
  if (text === "fresh") return <Pill mood="quiet">fresh</Pill>;
  if (text === "recovered") return <Pill mood="good">nothing missed</Pill>;
  return <Pill mood="wait">{text === "epoch" ? "began anew" : text}</Pill>;
}

function Spark({ tripsMs }: { tripsMs: readonly number[] }): ReactNode {
  const top = Math.max(1, ...tripsMs) * 1.15;
  const points = tripsMs.map((ms, i) => `${((i / Math.max(1, tripsMs.length - 1)) * 120).toFixed(1)} ${(36 - (ms / top) * 36).toFixed(1)}`).join("L");
  return (
    <svg className="spark" viewBox="0 0 120 36" preserveAspectRatio="none" aria-hidden="true">
      {tripsMs.length > 1 && (
        <>
          <path className="area" d={`M0 36L${points}L120 36Z`} />
          <path className="stroke" d={`M${points}`} />
        </>
      )}
    </svg>
  );
}

function FrameLog(): ReactNode {
  const { network } = useWorld();
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="log" id="log" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        <h3>Protocol</h3> <span className="hint">the last messages, as they go over the wire</span>
      </summary>
      {isOpen && <Frames frames={network.frames} />}
    </details>
  );
}

function Frames({ frames }: { frames: ReturnType<typeof useWorld>["network"]["frames"] }): ReactNode {
  const all = useSignal(frames);
  const [routine, setRoutine] = useState(false);
  return (
    <>
      <label className="check">
        <input type="checkbox" checked={routine} onChange={(event) => setRoutine(event.currentTarget.checked)} /> pings and presence too
      </label>
      <ol className="frames">
        {[...all].reverse().filter((frame) => routine || !frame.isRoutine).map((frame) => (
          <FrameRow key={frame.number} frame={frame} />
        ))}
      </ol>
    </>
  );
}

function FrameRow({ frame }: { frame: Frame }): ReactNode {
  const [isOpen, setIsOpen] = useState(false);
  const { type, event, action, channel, code, seq } = frame.message;
  const words = [type, event, action, channel, code, seq === undefined ? "" : `#${String(seq)}`].filter((word) => word !== undefined && word !== "");
  return (
    <li>
      <details className={`frame ${frame.direction}`} onToggle={(toggled) => setIsOpen(toggled.currentTarget.open)}>
        <summary>
          <span className="way" role="img" aria-label={frame.direction === "out" ? "sent" : "received"}>
            {frame.direction === "out" ? "↑" : "↓"}
          </span>
          <span className="what">{words.join(" ")}</span>
          <time>{clockText(frame.atMs)}</time>
        </summary>
        {isOpen && <pre>{JSON.stringify(frame.message, null, 1)}</pre>}
      </details>
    </li>
  );
}
