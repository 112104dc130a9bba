// When to come back after a connection has ended (protocol, section 6, close codes). Pure.

const kBaseMs = 500;
const kCapMs = 30_000;
/** Full jitter: anything between nothing and the exponential bound, so that clients cut off together spread out. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(kCapMs, kBaseMs * 2 ** attempt);
}

/** `poison`: what was in flight caused the end, and must not be sent again. `token`: the next attempt needs another one. */
export type NextStep = "retry" | "slow" | "token" | "poison" | "stop";

/** `refusal` is the code of an `auth_error` that came before the close. */
export function afterClose(code: number, reason: string, refusal = ""): NextStep {
  if (code === 1000) return "stop";
  if ([1002, 1003, 1007, 1009].includes(code)) return "poison";
  const why = refusal || reason;
  if (code !== 1008 || why === "unavailable" || why === "message_timeout") return "retry";
  return /^(token_|user_|auth_)/.test(why) ? "token" : "slow";
}
