// Who belongs to the session, and who of them is there: the session's members and the room's presence.

import { useEffect, type ReactNode } from "react";
import type { SessionChannel, SessionMember } from "@tidewire/client/kinds";
import { usePresence } from "@tidewire/client/react";
import { Avatar, Icon, plural, useFollow, useWorld } from "./bits.js";

const kHere = {};
/** A second tab of somebody who is there makes no event, so who shows how many there are asks now and then. */
const kAskMs = 4_000;

export function Members({ session, members }: { session: SessionChannel<any>; members: readonly SessionMember[] }): ReactNode {
  const { who, client, names } = useWorld();
  const presence = usePresence(names.room, kHere);
  const isUp = presence.state.name === "subscribed";
  useFollow(presence.channel);
  useEffect(() => {
    if (!isUp) return;
    const timer = setInterval(() => presence.channel.presence.get().catch(() => {}), kAskMs);
    return () => clearInterval(timer);
  }, [presence.channel, isUp]);
  const here = new Map(presence.members.map((member) => [String(member.user.id), member.connections]));
  const rows = members.map((member) => ({ ...member, name: String(member.user), connections: here.get(String(member.user)) }));
  rows.sort((a, b) => Number(b.connections !== undefined) - Number(a.connections !== undefined));
  const amOwner = session.own?.role === "owner";
  const nudge = (name: string): void => {
    const inbox = client.channel(`user:${name}`);
    inbox.publish({ text: `${who.name} is waiting for you in ${who.room}` }, { event: "notify", priority: "high", ttlMs: 3_600_000 }).catch(() => {});
  };
  return (
    <ul className={`members${isUp ? "" : " stale"}`} id="members" aria-label="Members">
      {rows.map(({ name, connections, unread, role }) => (
        <li key={name} className="member" data-user={name} data-here={connections !== undefined}>
          <Avatar name={name} away={connections === undefined} />
          <span className="member-text">
            <span className="member-name">
              {name}
              {name === who.name && <small> you</small>}
            </span>
            <small className="member-state">
              {connections === undefined ? (unread > 0 ? `away, ${unread} unread` : "away") : connections > 1 ? plural(connections, "tab") : role === "owner" ? "owner" : "here"}
            </small>
          </span>
          {name !== who.name && (
            <button type="button" className="bare" title={`Notify ${name}`} aria-label={`Notify ${name}`} onClick={() => nudge(name)}>
              <Icon name="bell" />
            </button>
          )}
          {name !== who.name && amOwner && connections === undefined && (
            <button type="button" className="bare" title={`Remove ${name}`} aria-label={`Remove ${name}`} onClick={() => void session.leave(name).catch(() => {})}>
              <Icon name="trash" />
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
