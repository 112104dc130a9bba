// Those who make an agent's run and an upload go on. Neither keeps anything in the page: each looks at the state that the
// server has and does what comes next. So a reload, or another tab of the same user, simply goes on.

import type { AgentRun, Upload } from "@tidewire/client/kinds";
import { nextPiece, type Script } from "./script.js";

const kPieceMs = 140;
const kThinkMs = 900;
const kChunkMs = 120;

/** Runs `work` as soon as no other tab of this browser does the same, until the answer is called. */
export function whileLeading(name: string, work: (signal: AbortSignal) => Promise<void>): () => void {
  const stop = new AbortController();
  const quietly = (): Promise<void> => work(stop.signal).catch(() => {});
  if (!navigator.locks) void quietly();
  else navigator.locks.request(name, { signal: stop.signal }, quietly).catch(() => {});
  return () => stop.abort();
}

/** Says what is left of the script. Ends with the run, or when the signal says so. */
export async function perform(run: AgentRun, script: Script, signal: AbortSignal): Promise<void> {
  await run.subscribe();
  const isOver = (): boolean => signal.aborted || run.ended;
  const whole = script.before + script.after;
  let { length: at } = run.value.text;
  let { tools } = run.value;
  if (run.value.status === "pending") await run.start({ model: "canned-1" });
  while (!isOver() && at < whole.length) {
    if (at >= script.before.length && tools.length === 0) {
      await run.toolCall({ ...script.tool });
      tools = [{ ...script.tool }];
    }
    if (tools[0] && !("result" in tools[0])) {
      await pause(kThinkMs, signal);
      if (isOver()) return;
      await run.toolResult({ id: script.tool.id, result: script.result });
      tools = [{ ...script.tool, result: script.result }];
    }
    const piece = nextPiece(at < script.before.length ? script.before : whole, at);
    void run.delta(piece);
    at += piece.length;
    await pause(kPieceMs, signal);
  }
  if (!isOver()) await run.complete({ usage: { input_tokens: 12, output_tokens: whole.split(/\s+/).length } });
}

/** Sends the rest of a file, at a pace that can be watched. What a chunk is made of is the caller's. */
export async function send(upload: Upload, total: number, bytesPerSecond: () => number, readTo: (bytes: number) => Promise<void>, signal: AbortSignal): Promise<void> {
  await upload.subscribe();
  let { bytes } = upload.value;
  const isOver = (): boolean => signal.aborted || upload.ended;
  while (!isOver() && bytes < total) {
    await pause(kChunkMs, signal);
    bytes = Math.min(total, bytes + Math.round((bytesPerSecond() * kChunkMs) / 1000));
    await readTo(bytes);
    if (!isOver()) void upload.progress(bytes, total);
  }
  if (!isOver()) await upload.complete();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
