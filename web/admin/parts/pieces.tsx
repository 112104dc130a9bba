// What the cards of this page share.

import { createContext, useContext, useEffect, useState, type ReactNode } from "react";
import type { Api } from "../api.js";

export const ApiContext = createContext<Api | null>(null);

export function useApi(): Api {
  return useContext(ApiContext)!;
}

/** Asks once more before it acts. */
export function SureButton({ children, sure, act }: { children: ReactNode; sure: string; act: () => void }): ReactNode {
  const [isAsking, setIsAsking] = useState(false);
  useEffect(() => {
    if (!isAsking) return;
    const timer = setTimeout(() => setIsAsking(false), 4_000);
    return () => clearTimeout(timer);
  }, [isAsking]);
  return (
    <button
      type="button"
      className={isAsking ? "danger" : ""}
      onClick={() => {
        if (isAsking) act();
        setIsAsking(!isAsking);
      }}
    >
      {isAsking ? sure : children}
    </button>
  );
}

/** `pages` are the cursors that led here, the last one this page's. */
export function Pages({ pages, next, turn }: { pages: string[]; next: string | null | undefined; turn: (pages: string[]) => void }): ReactNode {
  if (pages.length === 0 && !next) return null;
  return (
    <div className="actions">
      <button type="button" disabled={pages.length === 0} onClick={() => turn(pages.slice(0, -1))}>
        Back
      </button>
      <button type="button" disabled={!next} onClick={() => next && turn([...pages, next])}>
        More
      </button>
      <span className="hint">page {pages.length + 1}</span>
    </div>
  );
}

export function Trouble({ text }: { text: string }): ReactNode {
  return text ? (
    <p className="banner bad" role="alert">
      {text}
    </p>
  ) : null;
}

export function ageText(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - sinceMs) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
