// Small pieces that the pages share.

import { useEffect, useState, type ReactNode } from "react";

/** The time, told anew every so often while the component needs it. */
export function useClock(everyMs: number, runs = true): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!runs) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, runs]);
  return now;
}

export function Avatar({ name, away = false, small = false }: { name: string; away?: boolean; small?: boolean }): ReactNode {
  const className = `avatar${away ? " away" : ""}${small ? " small" : ""}`;
  return (
    <span className={className} style={{ "--hue": hueOf(name) } as object} aria-hidden="true">
      {name.slice(0, small ? 1 : 2).toUpperCase()}
    </span>
  );
}

export function Card({ id, title, icon, aside, children }: { id: string; title: string; icon: string; aside?: ReactNode; children: ReactNode }): ReactNode {
  return (
    <section className={`card ${id}`} id={id} aria-labelledby={`${id}-title`}>
      <header className="card-head">
        <Icon name={icon} />
        <h2 id={`${id}-title`}>{title}</h2>
        <span className="card-aside">{aside}</span>
      </header>
      {children}
    </section>
  );
}

export function Pill({ mood, children }: { mood: "good" | "wait" | "bad" | "quiet" | "accent"; children: ReactNode }): ReactNode {
  return <span className={`pill ${mood}`}>{children}</span>;
}

const kPaths: Record<string, string> = {
  chat: "M4 5h16v11H9l-5 4z",
  agent: "M12 3l1.8 5.2L19 10l-5.2 1.8L12 17l-1.8-5.2L5 10l5.2-1.8zM19 16l.8 2.2L22 19l-2.2.8L19 22l-.8-2.2L16 19l2.2-.8z",
  dashboard: "M4 20V10M10 20V4M16 20v-8M22 20H2",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
  inbox: "M6 17V11a6 6 0 0112 0v6l2 2H4zM10 21h4",
  network: "M2 9c6-5.5 14-5.5 20 0M5.5 13c4-3.5 9-3.5 13 0M9 17c2-1.6 4-1.6 6 0M12 20.5v.1",
  wave: "M2 9c3.3 0 3.3-3 6.6-3s3.3 3 6.7 3S18.600 6 22 6M2 17c3.300 0 3.300-3 6.600-3s3.300 3 6.700 3 3.300-3 6.700-3",
  bell: "M6 17V11a6 6 0 0112 0v6l2 2H4zM10 21h4",
  laptop: "M5 5h14v10H5zM2 19h20",
  phone: "M8 3h8v18H8zM11 18h2",
  tool: "M14 6a4 4 0 00-5 5l-6 6 3 3 6-6a4 4 0 005-5l-2.500 2.500L12 9z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
};

export function Icon({ name }: { name: string }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={kPaths[name]} />
    </svg>
  );
}

export const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? "" : "s"}`;

export const msText = (ms: number): string => (ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`);

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${["B", "kB", "MB", "GB"][power]}`;
}

const kClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export const clockText = (ms: number): string => kClock.format(ms);

/** The same name has the same colour everywhere. */
export function hueOf(name: string): number {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)!) >>> 0;
  return (hash % 12) * 30;
}

/** One figure in a `<dl class=tiles>`. */
export function Tile({ name, id, value }: { name: string; id?: string; value: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd id={id}>{value ?? "–"}</dd>
    </div>
  );
}

export function upText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
