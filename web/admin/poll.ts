// Asking the server again and again, for as long as a component shows the answer and somebody looks at the page.

import { useEffect, useRef, useState } from "react";

export interface Polled<V> {
  value: V | null;
  error: string;
  /** Asks at once. */
  again: () => void;
}

/** A change of `key` forgets the value and begins anew. */
export function usePoll<V>(ask: () => Promise<V>, everyMs: number, key: string): Polled<V> {
  const [state, setState] = useState<{ key: string; value: V | null; error: string }>({ key, value: null, error: "" });
  const latest = useRef(ask);
  latest.current = ask;
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async (): Promise<void> => {
      if (document.visibilityState === "visible") {
        try {
          const value = await latest.current();
          if (!isOver) setState({ key, value, error: "" });
        } catch (error) {
          if (!isOver) setState((before) => ({ key, value: before.key === key ? before.value : null, error: messageOf(error) }));
        }
      }
      if (!isOver) timer = setTimeout(() => void look(), everyMs);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [key, everyMs, turn]);
  const isCurrent = state.key === key;
  return { value: isCurrent ? state.value : null, error: isCurrent ? state.error : "", again: () => setTurn((n) => n + 1) };
}

export function messageOf(error: unknown): string {
  if (error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError")) return "The server does not answer.";
  return error instanceof Error ? error.message : String(error);
}
