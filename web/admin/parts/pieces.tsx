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
