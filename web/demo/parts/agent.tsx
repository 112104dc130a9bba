// An agent's run: one tab writes it, everybody in the room reads along, whoever comes late gets the text so far.

import { useEffect, useRef, useState, type ReactNode } from "react";
import { openAgentRun, type AgentState, type AgentTool } from "@tidewire/client/kinds";
import { useAgentRun, useDocument, useTidewire } from "@tidewire/client/react";
import { perform, whileLeading } from "../drivers.js";
import { kPrompts, scriptOf } from "../script.js";
import { addressOf } from "../who.js";
import type { Board } from "../world.js";
import { Card, Icon, Pill, useFollow, useWorld } from "./bits.js";

const kMoods = { pending: "quiet", running: "accent", complete: "good", failed: "bad", cancelled: "wait" } as const;

export function Agent(): ReactNode {
  const { who, names } = useWorld();
  const client = useTidewire();
  const { value, document } = useDocument<Board>(names.board);
  useFollow(document);
  const info = value?.run;
  const [prompt, setPrompt] = useState<string>(kPrompts[0]);
  const begin = async (asked: string): Promise<void> => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const channel = `agent:${who.room}:${seed.toString(36)}`;
    // Whoever publishes first is the run's creator.
    await openAgentRun(client, channel).start({ model: "canned-1", prompt: asked });
    await document.merge({ run: { channel, by: who.name, prompt: asked, seed } });
  };
  return (
    <Card id="agent" title="Agent run" icon="agent" aside={info && <Status channel={info.channel} />}>
      <div className="controls">
        <label className="visually-hidden" htmlFor="prompt">
          Prompt
        </label>
        <select id="prompt" value={prompt} onChange={(event) => setPrompt(event.currentTarget.value)}>
          {kPrompts.map((text) => (
            <option key={text}>{text}</option>
          ))}
        </select>
        <button type="button" className="primary" onClick={() => void begin(prompt).catch(() => {})}>
          Run
        </button>
      </div>
      {info ? (
        <Run key={info.channel} info={info} />
      ) : (
        <div className="run-empty">
          {kPrompts.map((text) => (
            <button key={text} type="button" onClick={() => void begin(text).catch(() => {})}>
              {text}
            </button>
          ))}
          <p className="hint">
            The text streams to everybody in the room. Reload in the middle, or{" "}
            <a href={addressOf(who.room)} target="_blank" rel="noopener">
              open another tab
            </a>
            : what was said is there, the rest follows, no word comes twice.
          </p>
        </div>
      )}
    </Card>
  );
}

function Status({ channel }: { channel: string }): ReactNode {
  const { status } = useAgentRun(channel);
  return (
    <span id="run-status" data-status={status}>
      <Pill mood={kMoods[status]}>{status}</Pill>
    </span>
  );
}

function Run({ info }: { info: NonNullable<Board["run"]> }): ReactNode {
  const { who } = useWorld();
  const { run, ...value } = useAgentRun(info.channel);
  useFollow(run);
  const [writes, setWrites] = useState(false);
  const isMine = info.by === who.name;
  const isLive = value.status === "pending" || value.status === "running";
  useEffect(() => {
    if (!isMine || !isLive) return;
    return whileLeading(`tidewire-demo ${info.channel}`, async (signal) => {
      if (signal.aborted) return;
      setWrites(true);
      await perform(run, scriptOf(info.prompt, info.seed), signal).finally(() => setWrites(false));
    });
  }, [run, isMine, isLive]);
  const seen = useSeenFrom(run.state.name === "subscribed", value.text.length);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [value.text, value.tools]);
  return (
    <>
      <div className="run" id="run" data-channel={info.channel} ref={box} tabIndex={0} role="region" aria-label="Text of the run">
        <p className="prompt">
          <b>{info.by}</b> asked: {info.prompt}
        </p>
        <RunText value={value} info={info} isLive={isLive} />
        {value.status === "failed" && <p className="bad-text">Failed: {reasonText(value.reason)}</p>}
        {value.status === "cancelled" && <p className="hint">Stopped.</p>}
      </div>
      <footer className="card-foot">
        <span className="hint" id="run-role">
          {isLive && (writes ? "This tab writes. Reload it: it goes on." : isMine ? "Another tab of yours writes, this one reads along." : `${info.by} writes, you read along.`)}
          {!isLive && seen > 0 && `${seen} characters were there when this tab came.`}
          {!isLive && seen === 0 && `${value.text.length} characters.`}
        </span>
        {isLive && (
          <button type="button" onClick={() => void run.cancel({ by: who.name }).catch(() => {})}>
            Stop
          </button>
        )}
      </footer>
    </>
  );
}

/** The tool's call stands where it was made. */
function RunText({ value, info, isLive }: { value: AgentState; info: NonNullable<Board["run"]>; isLive: boolean }): ReactNode {
  const { length } = scriptOf(info.prompt, info.seed).before;
  const hasTools = value.tools.length > 0;
  return (
    <>
      <p className={`run-text${isLive && !hasTools ? " caret" : ""}`}>{hasTools ? value.text.slice(0, length) : value.text}</p>
      {value.tools.map((tool, i) => (
        <Tool key={i} tool={tool} />
      ))}
      {hasTools && <p className={`run-text${isLive ? " caret" : ""}`}>{value.text.slice(length)}</p>}
    </>
  );
}

function Tool({ tool }: { tool: AgentTool }): ReactNode {
  return (
    <details className="tool">
      <summary>
        <Icon name="tool" /> <code>{String(tool.name ?? "tool")}</code> {"result" in tool ? <Pill mood="good">done</Pill> : <Pill mood="accent">working</Pill>}
      </summary>
      <pre>{JSON.stringify({ arguments: tool.arguments, result: tool.result }, null, 1)}</pre>
    </details>
  );
}

/** How much of it the server had when this tab first saw it. */
function useSeenFrom(isSubscribed: boolean, length: number): number {
  const first = useRef<number>(undefined);
  if (isSubscribed) first.current ??= length;
  return first.current ?? 0;
}

function reasonText(reason: unknown): string {
  return reason === "orphaned" ? "nobody was left to write it" : String(reason ?? "no reason given");
}
