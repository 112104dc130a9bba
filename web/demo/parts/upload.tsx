// An upload: its progress, rate and time left, for everybody in the room. The bytes themselves go nowhere here, as they
// would go to a storage of yours.

import { useEffect, useRef, useState, type ReactNode } from "react";
import { openUpload } from "@tidewire/client/kinds";
import { useDocument, useTidewire, useUpload } from "@tidewire/client/react";
import { send, whileLeading } from "../drivers.js";
import type { Board } from "../world.js";
import { bytesText, Card, Pill, useFollow, useWorld } from "./bits.js";

const kSampleBytes = 64_000_000;
const kMoods = { pending: "quiet", active: "accent", complete: "good", failed: "bad", cancelled: "wait" } as const;
const kPaces = [
  ["1", "slow"],
  ["5", "usual"],
  ["25", "fast"],
] as const;

export function Uploads(): ReactNode {
  const { who, names } = useWorld();
  const client = useTidewire();
  const { value, document } = useDocument<Board>(names.board);
  const info = value?.upload;
  const [pace, setPace] = useState("5");
  const file = useRef<{ channel: string; file: File } | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const begin = async (chosen: File | null): Promise<void> => {
    const channel = `upload:${who.room}:${crypto.randomUUID().slice(0, 8)}`;
    const bytes = chosen ? chosen.size : kSampleBytes;
    file.current = chosen && { channel, file: chosen };
    await openUpload(client, channel).progress(0, bytes);
    await document.merge({ upload: { channel, by: who.name, file: chosen?.name ?? "sample-video.mp4", bytes, made: !chosen } });
  };
  return (
    <Card id="upload" title="Upload" icon="upload" aside={info && <Status channel={info.channel} />}>
      <div className="controls">
        <input
          ref={picker}
          type="file"
          className="visually-hidden"
          id="file"
          tabIndex={-1}
          aria-label="File"
          onChange={(event) => {
            const chosen = event.currentTarget.files?.[0];
            event.currentTarget.value = "";
            if (chosen) void begin(chosen).catch(() => {});
          }}
        />
        <button type="button" className="primary" onClick={() => void begin(null).catch(() => {})}>
          Send 64 MB
        </button>
        <button type="button" onClick={() => picker.current?.click()}>
          Choose a file
        </button>
        <label className="pace">
          <span className="visually-hidden">Pace</span>
          <select id="pace" value={pace} onChange={(event) => setPace(event.currentTarget.value)}>
            {kPaces.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
      </div>
      {info ? (
        <Progress key={info.channel} info={info} bytesPerSecond={Number(pace) * 1_000_000} file={file.current?.channel === info.channel ? file.current.file : null} />
      ) : (
        <p className="hint roomy">Everybody in the room watches it go. No byte leaves this page: what is shown is the progress, as an uploader reports it.</p>
      )}
    </Card>
  );
}

function Status({ channel }: { channel: string }): ReactNode {
  const { status } = useUpload(channel);
  return (
    <span id="upload-status" data-status={status}>
      <Pill mood={kMoods[status]}>{status}</Pill>
    </span>
  );
}

function Progress({ info, bytesPerSecond, file }: { info: NonNullable<Board["upload"]>; bytesPerSecond: number; file: File | null }): ReactNode {
  const { who } = useWorld();
  const { upload, status, bytes, total, percent, rateBps, etaMs } = useUpload(info.channel);
  useFollow(upload);
  const pace = useRef(bytesPerSecond);
  pace.current = bytesPerSecond;
  const isLive = status === "pending" || status === "active";
  // A chosen file is gone with a reload; the made-up one goes on, whatever tab of its user does it.
  const canSend = info.by === who.name && isLive && (info.made || file !== null);
  useEffect(() => {
    if (!canSend) return;
    return whileLeading(`tidewire-demo ${info.channel}`, (signal) => send(upload, info.bytes, () => pace.current, (to) => readTo(file, to), signal));
  }, [upload, canSend]);
  const shown = percent ?? 0;
  return (
    <div className="progress" id="progress" data-channel={info.channel}>
      <p className="progress-file">
        <b>{info.file}</b> <span className="hint">by {info.by}</span>
      </p>
      <div className={`track ${status}`} role="progressbar" aria-label={`Upload of ${info.file}`} aria-valuenow={shown} aria-valuemin={0} aria-valuemax={100}>
        <span style={{ width: `${shown}%` }} />
      </div>
      <p className="progress-facts">
        <span id="percent">{shown.toFixed(shown < 100 ? 1 : 0)} %</span>
        <span>
          {bytesText(bytes)} of {bytesText(total ?? info.bytes)}
        </span>
        <span>{rateBps && isLive ? `${bytesText(Math.round(rateBps))}/s` : ""}</span>
        <span>{etaMs && isLive ? `${Math.ceil(etaMs / 1000)} s left` : ""}</span>
        {isLive && info.by === who.name && (
          <button type="button" onClick={() => void upload.cancel().catch(() => {})}>
            Cancel
          </button>
        )}
      </p>
    </div>
  );
}

/** Reads the chunk that ends there, as an uploader would before it sends it. */
async function readTo(file: File | null, end: number): Promise<void> {
  if (file) await file.slice(Math.max(0, end - 65_536), end).arrayBuffer();
}
