// What moves text between this client and the server: a WebSocket, unless an application or a test brings another.

import { misuse } from "./errors.js";

export interface TransportRequest {
  url: string;
  /** The subprotocols to offer, asked for when they are needed; a token is one of them. Rejected: there is no socket. */
  protocols(): Promise<string[]>;
}

export interface TransportEvents {
  message(text: string): void;
  /** The end, whoever caused it; nothing comes after it. `code` as in RFC 6455. */
  close(code: number, reason: string): void;
}

/** One connection, from the attempt on. After `close` no event comes any more. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface Transport {
  /** No event comes before this has returned. */
  connect(request: TransportRequest, events: TransportEvents): Socket;
}

/** What this client needs of a WebSocket class. */
export interface WebSocketLike {
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  readonly readyState: number;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

const kOpen = 1;

let fallback: WebSocketClass | undefined;

/** The class to use where the platform has none. @internal */
export function setWebSocketFallback(webSocketClass: WebSocketClass): void {
  fallback = webSocketClass;
}

/** The default: the platform's WebSocket, or the class that is handed in. */
export function webSocketTransport(webSocketClass?: WebSocketClass): Transport {
  return {
    connect({ url, protocols }, events) {
      const Class = webSocketClass ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket ?? fallback;
      if (!Class) throw misuse("no WebSocket here: give `transport: webSocketTransport(aClass)`");
      let socket: WebSocketLike | undefined;
      let ended = false;
      const end = (code: number, reason: string): void => {
        if (ended) return;
        ended = true;
        events.close(code, reason);
      };
      const open = (offered: string[]): void => {
        if (ended) return;
        socket = new Class(url, offered);
        socket.onmessage = ({ data }) => {
          if (!ended) events.message(typeof data === "string" ? data : "");
        };
        socket.onerror = () => {};
        socket.onclose = ({ code, reason }) => end(code, reason);
      };
      protocols()
        .then(open)
        .catch((error) => end(1006, String(error)));
      return {
        send: (text) => {
          if (!ended && socket?.readyState === kOpen) socket.send(text);
        },
        close: (code, reason) => {
          ended = true;
          socket?.close(code, reason);
        },
      };
    },
  };
}
