// When to come back after a connection has ended (protocol, section 6, close codes). Pure.

const kBaseMs = 500;
const kCapMs = 30_000;
/** Where the server asked to slow down, or a proxy answers for it. */
const kSlowDownMs = 15_000;

/** Full jitter: anything between nothing and the exponential bound, so that clients cut off together spread out. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(kCapMs, kBaseMs * 2 ** attempt);
}

export interface Verdict {
  /** There is a next attempt. */
  retry: boolean;
  /** The token was refused: the next attempt needs another one. */
  newToken?: boolean;
  /** Wait at least this long. */
  leastMs?: number;
  /** What was in flight caused the end and must not be sent again. */
  poisoned?: boolean;
}

/** `refusal` is the code of an `auth_error` that came before the close. */
export function afterClose(code: number, reason: string, refusal = ""): Verdict {
  if (code === 1000) return { retry: false };
  if ([1002, 1003, 1007, 1009].includes(code)) return { retry: true, poisoned: true };
  const why = refusal || reason;
  if (code !== 1008 || why === "unavailable" || why === "message_timeout") return { retry: true };
  if (/^(token_|user_|auth_)/.test(why)) return { retry: true, newToken: true };
  return { retry: true, poisoned: why === "invalid_message", leastMs: kSlowDownMs };
}
