// The server's own figures as a document that one tab feeds and all read, at most ten times a second.

import { useEffect, useMemo, type ReactNode } from "react";
import { useDocument } from "@tidewire/client/react";
import { Feeder, kPoints, type Figures, type Point } from "../feeder.js";
import { bytesText, Card, useFollow, useWorld } from "./bits.js";

const kWidth = 300;
const kHeight = 72;

export function Dashboard(): ReactNode {
  const { names, who } = useWorld();
  const { value, document } = useDocument<Figures>(names.dashboard);
  useFollow(document);
  const me = useMemo(() => `${who.name}/${crypto.randomUUID().slice(0, 8)}`, [who]);
  useEffect(() => {
    const feeder = new Feeder(document, me);
    return () => feeder.stop();
  }, [document, me]);
  const points = value?.points ?? [];
  const last = points.at(-1);
  return (
    <Card id="dashboard" title="Server" icon="dashboard" aside={value && <span className="hint">up {upText(value.now.uptimeS)}</span>}>
      <dl className="tiles" id="tiles">
        <Tile name="Connections" value={value?.now.connections} />
        <Tile name="Users" value={value?.now.users} />
        <Tile name="Channels" value={value?.now.channels} />
        <Tile name="Longest turn" value={last && `${last[6]} ms`} />
      </dl>
      <Chart title="Messages a second" points={points} series={[[2, "out"], [1, "in"]]} text={(figure) => String(Math.round(figure))} />
      <Chart title="Bytes a second" points={points} series={[[4, "out"], [3, "in"]]} text={(figure) => bytesText(Math.round(figure))} />
      <footer className="card-foot">
        <span className="hint" id="feeder" data-by={value?.by}>
          {value ? `Fed by ${value.by === me ? "this tab" : value.by.split("/")[0]} from /metrics, one JSON patch a second. Update ${document.seq}.` : "Waiting for the first figures."}
        </span>
      </footer>
    </Card>
  );
}

function Tile({ name, value }: { name: string; value: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value ?? "–"}</dd>
    </div>
  );
}

type Series = readonly [index: 1 | 2 | 3 | 4 | 5 | 6, name: string];

function Chart({ title, points, series, text }: { title: string; points: readonly Point[]; series: readonly Series[]; text: (figure: number) => string }): ReactNode {
  const top = Math.max(1, ...points.flatMap((point) => series.map(([index]) => point[index]))) * 1.1;
  const x = (i: number): number => kWidth - ((points.length - 1 - i) * kWidth) / (kPoints - 1);
  const y = (figure: number): number => kHeight - 1 - (figure / top) * (kHeight - 6);
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span>
        {series.map(([index, name]) => (
          <span key={name} className={`legend ${name}`}>
            {name} {text(points.at(-1)?.[index] ?? 0)}
          </span>
        ))}
      </figcaption>
      <svg viewBox={`0 0 ${kWidth} ${kHeight}`} preserveAspectRatio="none" aria-hidden="true">
        <path className="grid" d={`M0 ${kHeight - 0.5}H${kWidth}M0 ${kHeight / 2}H${kWidth}`} />
        {points.length > 1 &&
          series.map(([index, name]) => {
            const line = points.map((point, i) => `${x(i).toFixed(1)} ${y(point[index]).toFixed(1)}`).join("L");
            return (
              <g key={name} className={name}>
                <path className="area" d={`M${x(0).toFixed(1)} ${kHeight}L${line}L${kWidth} ${kHeight}Z`} />
                <path className="stroke" d={`M${line}`} />
              </g>
            );
          })}
      </svg>
    </figure>
  );
}

function upText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
