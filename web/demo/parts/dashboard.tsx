// The server's own figures as a document that one tab feeds and all read, at most ten times a second.

import { useEffect, useMemo, type ReactNode } from "react";
import { useDocument } from "@tidewire/client/react";
import { Chart } from "../../shared/chart.js";
import { Feeder, kPoints, type Figures } from "../feeder.js";
import { bytesText, Card, Tile, upText, useFollow, useWorld } from "./bits.js";

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
      <Chart title="Messages a second" room={kPoints} series={{ out: points.map((point) => point[2]), in: points.map((point) => point[1]) }} text={(figure) => String(Math.round(figure))} />
      <Chart title="Bytes a second" room={kPoints} series={{ out: points.map((point) => point[4]), in: points.map((point) => point[3]) }} text={(figure) => bytesText(Math.round(figure))} />
      <footer className="card-foot">
        <span className="hint" id="feeder" data-by={value?.by}>
          {value ? `Fed by ${value.by === me ? "this tab" : value.by.split("/")[0]} from /metrics, one JSON patch a second. Update ${document.seq}.` : "Waiting for the first figures."}
        </span>
      </footer>
    </Card>
  );
}
