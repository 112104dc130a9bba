// Who this tab is, and where: kept for the tab, or given in the address (?name=Ada&room=lobby).

export interface Who {
  name: string;
  room: string;
}

export const kNamePattern = "[A-Za-z0-9._\\-]{1,24}";
export const kRoomPattern = "[A-Za-z0-9._\\-]{1,40}";
// What both patterns say, for a human.
export const kNameRule = "Only letters A to Z, digits, dot, dash and underscore.";

const kNames = ["Otter", "Puffin", "Heron", "Limpet", "Marlin", "Nautilus", "Osprey", "Plover", "Sanderling", "Petrel", "Curlew", "Narwhal"];
const kStored = "tidewire-demo";

const fits = (text: unknown, pattern: string): text is string => typeof text === "string" && new RegExp(`^${pattern}$`).test(text);

/** Somebody whom the address or this tab already names. */
export function knownWho(): Who | null {
  const query = new URLSearchParams(location.search);
  const kept = stored();
  const name = query.get("name") ?? kept.name;
  const room = query.get("room") ?? kept.room;
  return fits(name, kNamePattern) ? { name, room: fits(room, kRoomPattern) ? room : "lobby" } : null;
}

export function suggestedWho(): Who {
  const query = new URLSearchParams(location.search);
  const room = query.get("room") ?? stored().room;
  return { name: kNames[Math.floor(Math.random() * kNames.length)]!, room: fits(room, kRoomPattern) ? room : "lobby" };
}

export function keepWho(who: Who | null): void {
  try {
    if (who) sessionStorage.setItem(kStored, JSON.stringify(who));
    else sessionStorage.removeItem(kStored);
  } catch {
    // A browser that stores nothing asks again after a reload.
  }
  const query = new URLSearchParams(location.search);
  query.delete("name");
  query.delete("room");
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
}

/** Where another tab is somebody else, or the same again. */
export function addressOf(room: string, name?: string): string {
  return `./?${new URLSearchParams({ ...(name ? { name } : {}), room })}`;
}

function stored(): Partial<Who> {
  try {
    return JSON.parse(sessionStorage.getItem(kStored) ?? "{}") as Partial<Who>;
  } catch {
    return {};
  }
}
