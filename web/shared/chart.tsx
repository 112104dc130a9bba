// Two lines over the last minute, the newest at the right.

import type { ReactNode } from "react";

const kWidth = 300;
const kHeight = 72;

interface ChartOptions {
  title: string;
  /** How many figures fill the width. */
  room: number;
  series: { out: readonly number[]; in: readonly number[] };
  text: (figure: number) => string;
}

export function Chart({ title, room, series, text }: ChartOptions): ReactNode {
  const lines = Object.entries(series);
  const top = Math.max(1, ...lines.flatMap(([, figures]) => figures)) * 1.1;
  const x = (i: number, count: number): number => kWidth - ((count - 1 - i) * kWidth) / (room - 1);
  const y = (figure: number): number => kHeight - 1 - (figure / top) * (kHeight - 6);
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span>
        {lines.map(([name, figures]) => (
          <span key={name} className={`legend ${name}`}>
            {name} {text(figures.at(-1) ?? 0)}
          </span>
        ))}
      </figcaption>
      <svg viewBox={`0 0 ${kWidth} ${kHeight}`} preserveAspectRatio="none" aria-hidden="true">
        <path className="grid" d={`M0 ${kHeight - 0.5}H${kWidth}M0 ${kHeight / 2}H${kWidth}`} />
        {lines.map(([name, figures]) => {
          if (figures.length < 2) return null;
          const line = figures.map((figure, i) => `${x(i, figures.length).toFixed(1)} ${y(figure).toFixed(1)}`).join("L");
          return (
            <g key={name} className={name}>
              <path className="area" d={`M${x(0, figures.length).toFixed(1)} ${kHeight}L${line}L${kWidth} ${kHeight}Z`} />
              <path className="stroke" d={`M${line}`} />
            </g>
          );
        })}
      </svg>
    </figure>
  );
}
