// The client of Tidewire. See README.md.

export type { Channel } from "./channel.js";
export type { ChannelEvents, ChannelOptions, ChannelState, Gap, HistoryPage, HistoryQuery, Subscribed } from "./channel.js";
export { Tidewire } from "./client.js";
export type { Broadcast, ClientEvents, Options } from "./client.js";
export type { ConnectionState, TokenSource } from "./connection.js";
export type { Position } from "./cursor.js";
export { TidewireError } from "./errors.js";
export type { ClientErrorCode, ErrorCode, ErrorDetails, ServerErrorCode } from "./errors.js";
export type { Outbox, OutboxEntry, OutboxPort, OutboxResult } from "./outbox_port.js";
export type { Presence, PresenceChange } from "./presence.js";
export type { ChannelKind, ContentRule, Member, Message, Priority, Published, Sender, Session, User, UserId, Wire } from "./protocol.js";
export type { EphemeralOptions, PublishOptions } from "./publish.js";
export { webSocketTransport } from "./transport.js";
export type { Socket, Transport, TransportEvents, TransportRequest, WebSocketClass, WebSocketLike } from "./transport.js";
