// An agent's run (protocol, section 7, kind `agent`), for the agent and for who reads along: text that streams, tools,
// an end.

import { Coalescer } from "./coalescer.js";
import { misuse } from "../errors.js";
import { isObject, type Message, type Published } from "../protocol.js";
import { kEnds, Run } from "./run.js";

export interface AgentTool {
  [field: string]: unknown;
  /** Absent while the tool works. */
  result?: unknown;
}

export interface AgentState {
  status: "pending" | "running" | "complete" | "failed" | "cancelled";
  text: string;
  tools: readonly AgentTool[];
  startedAt: number | null;
  endedAt: number | null;
  usage: unknown;
  /** The last `status` event. */
  detail?: unknown;
  /** What the last event of a failed or cancelled run gave as its reason. */
  reason?: unknown;
}

export class AgentRun extends Run<AgentState> {
  /** @internal */
  protected current: AgentState = { status: "pending", text: "", tools: [], startedAt: null, endedAt: null, usage: null };
  readonly #deltas = new Coalescer<string, Published>(
    (earlier, later) => earlier + later,
    (text) => this.send({ data: { text } }, { event: "delta" }),
    this.link,
  );

  start(data: unknown = {}): Promise<Published> {
    return this.event("start", data);
  }

  /** More text. May be called for every token: they are sent together, as often as the server takes them. */
  delta(text: string): Promise<Published> {
    if (typeof text !== "string") throw misuse("delta(text) takes a string");
    return this.#deltas.add(text);
  }

  toolCall(data: unknown): Promise<Published> {
    return this.event("tool_call", data);
  }

  toolResult(data: unknown): Promise<Published> {
    return this.event("tool_result", data);
  }

  status(data: unknown): Promise<Published> {
    return this.event("status", data);
  }

  complete(data: { usage?: unknown; [field: string]: unknown } = {}): Promise<Published> {
    return this.event("complete", data);
  }

  /** @internal */
  protected override flush(): void {
    this.#deltas.flush();
  }

  /** @internal */
  protected override recall(data: unknown): void {
    if (!isObject(data)) return;
    const { started_at: startedAt, ended_at: endedAt, ...rest } = data;
    this.set({ ...rest, startedAt, endedAt } as AgentState);
  }

  /** @internal */
  protected override fold({ event = "", data, timestamp }: Message): boolean {
    const fields = isObject(data) ? data : {};
    const { text, tools, startedAt } = this.current;
    const changes: Partial<AgentState> = { status: "running", startedAt: startedAt ?? timestamp };
    if (event === "delta" && typeof fields.text === "string") changes.text = text + fields.text;
    if (event === "status") changes.detail = data;
    if (event === "tool_call") changes.tools = [...tools, isObject(data) ? { ...data } : { data }];
    if (event === "tool_result") changes.tools = withResult(tools, fields.id, "result" in fields ? fields.result : data);
    const end = kEnds.get(event);
    if (end) {
      Object.assign(changes, { status: end, endedAt: timestamp });
      if (fields.usage !== undefined) changes.usage = fields.usage;
      if (fields.reason !== undefined) changes.reason = fields.reason;
    }
    this.set(changes);
    return true;
  }
}

/** A result belongs to the last call without one that has its id, or to the last of all when it names none. */
function withResult(tools: readonly AgentTool[], id: unknown, result: unknown): readonly AgentTool[] {
  const open = tools.filter((tool) => !("result" in tool) && (id === undefined || tool.id === id)).pop();
  return tools.map((tool) => (tool === open ? { ...tool, result } : tool));
}
