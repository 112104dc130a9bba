// The HTTP API as this page uses it (protocol, section 8), with an API key of scope `admin`. The key stays in this tab.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Stats {
  connections: number;
  users: number;
  channels: number;
  rates: { messages_in: number; messages_out: number; bytes_in: number; bytes_out: number };
  uptime_s: number;
}

export interface Component {
  state: string;
  latency_ms: number | null;
  detail?: string;
}

export interface Connection {
  connection_id: string;
  user: string | number | null;
  connected_at: number;
}

export interface Percentiles {
  count: number;
  p50_ms: number | null;
  p90_ms: number | null;
  p99_ms: number | null;
  p999_ms: number | null;
  max_ms: number | null;
}

/** `/api/admin/websocket-analytics`, as far as it is shown. */
export interface Analytics {
  traffic: { by_type: Record<string, number> };
  refusals: { malformed: number; rate_limited: number; auth_failures: number };
  latency: { request: Percentiles; http: Percentiles; round_trip: Percentiles };
  health: Record<string, number>;
  top_talkers: { user: string | null; address?: string; messages: number; messages_error: number; bytes: number }[];
  anomalies: { at: number; kind: string; user?: string; address?: string; score: number; evidence: string; action: string }[];
  circuits: { name: string; state: string; history: { at: number; to: string }[] }[];
  overload: { step: string };
}

export interface ChannelRow {
  channel: string;
  kind: string;
  epoch: string;
  seq: number;
  subscribers: number;
}

export interface Entry {
  seq: number;
  timestamp: number;
  event?: string;
  data?: unknown;
  merge?: unknown;
  patch?: unknown;
  from?: { user?: { id: string | number } | null };
}

export interface Member {
  user: { id: string | number; type: string };
  connections: number;
}

const kTimeoutMs = 10_000;

export class Api {
  constructor(readonly key: string) {}

  async call<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    const answer = await fetch(path, {
      method,
      headers: { "X-API-Key": this.key },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(kTimeoutMs),
    });
    const text = await answer.text();
    let value: Record<string, unknown> = {};
    try {
      value = JSON.parse(text) as Record<string, unknown>;
    } catch {
      // A proxy's page, perhaps; the status says enough.
    }
    if (!answer.ok) throw new ApiError(answer.status, String(value.code ?? ""), String(value.detail ?? value.title ?? `HTTP ${answer.status}`));
    return value as T;
  }

  get<T>(path: string): Promise<T> {
    return this.call<T>("GET", path);
  }

  stats = (): Promise<Stats> => this.get("/api/ws/stats");

  health = (): Promise<{ status: string; version: string; components: Record<string, Component> }> => this.get("/api/health/detailed");

  analytics = (span: string): Promise<Analytics> => this.get(`/api/admin/websocket-analytics?window=${span}`);

  connections = (cursor: string, limit = 200): Promise<{ connections: Connection[]; next: string | null }> =>
    this.get(`/api/admin/connections?${new URLSearchParams({ limit: String(limit), ...(cursor ? { cursor } : {}) })}`);

  /** Those of one user, with their health. */
  user = (id: string): Promise<{ user: string | number; online: number; connections: (Connection & { health: string })[] }> => this.get(`/api/v1/users/${encodeURIComponent(id)}`);

  disconnect = (id: string): Promise<{ disconnected: number }> => this.call("POST", `/api/v1/users/${encodeURIComponent(id)}/disconnect`);

  revoke = (id: string): Promise<{ revoked_before: number; disconnected: number }> => this.call("POST", `/api/v1/users/${encodeURIComponent(id)}/revoke`);

  channels = (prefix: string, cursor: string): Promise<{ channels: ChannelRow[]; next?: string | null }> =>
    this.get(`/api/v1/channels?${new URLSearchParams({ limit: "100", ...(prefix ? { prefix } : {}), ...(cursor ? { cursor } : {}) })}`);

  channel = (name: string): Promise<ChannelRow> => this.get(pathOf(name));

  history = (name: string, after: number | null): Promise<{ epoch: string; first: number; last: number; messages: Entry[] }> =>
    this.get(`${pathOf(name)}/history?limit=${after === null ? 50 : 200}${after === null ? "" : `&after=${after}`}`);

  members = async (name: string): Promise<Member[]> => (await this.get<{ members: Member[] }>(`${pathOf(name)}/presence`)).members;

  snapshot = (name: string): Promise<{ seq: number; data: unknown }> => this.get(`${pathOf(name)}/snapshot`);

  publish = (body: object): Promise<{ channel: string; epoch: string; seq: number }> => this.call("POST", "/api/v1/publish", body);
}

function pathOf(channel: string): string {
  return `/api/v1/channels/${encodeURIComponent(channel)}`;
}
