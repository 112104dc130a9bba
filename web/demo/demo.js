// The demo page: what client.js reports, drawn. Everything that comes from others is set as text, never as markup.

import { Client, PermanentError } from "./client.js";

const kRooms = ["room:lobby", "room:harbour", "room:lighthouse"];
const kHistory = 50;
const kKeptEntries = 400;
const kKeptFrames = 50;
const kKeptTrips = 40;
const kColours = 12;
const kGroupMs = 120_000;
const kNames = ["Otter", "Puffin", "Heron", "Kelp", "Limpet", "Marlin", "Nautilus", "Osprey", "Plover", "Sanderling"];

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The same name has the same colour everywhere; a member's own choice, if it is one of ours, wins. */
function colourOf(name, chosen) {
  if (Number.isInteger(chosen) && chosen >= 0 && chosen < kColours) return chosen;
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return hash % kColours;
}

function dress(avatar, name, colour) {
  avatar.textContent = name.slice(0, 2).toUpperCase();
  avatar.style.setProperty("--hue", String(colour * (360 / kColours)));
  return avatar;
}

const plural = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;
const tripText = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

// ---- the transcript

/**
 * The messages of one room, in order: those with a number by that number, then those that wait for one. An era is a
 * stretch of one numbering; a new one begins when the server's memory started anew, and orders behind the old.
 */
class Transcript {
  #entries = [];
  #byKey = new Map();
  #bySeq = new Map();
  #era = 0;
  #unseen = 0;
  #stuck = true;
  #me = "";

  constructor({ onRetry }) {
    this.onRetry = onRetry;
    $("newer").addEventListener("click", () => this.#toEnd());
    $("scroll").addEventListener("scroll", () => this.#atEnd() && this.#clearUnseen());
    new ResizeObserver(() => this.#stuck && this.#toEnd()).observe($("scroll"));
  }

  reset(me) {
    this.#me = me;
    this.#entries = [];
    this.#byKey.clear();
    this.#bySeq.clear();
    this.#era = 0;
    $("messages").replaceChildren();
    this.#clearUnseen();
    $("empty").hidden = false;
  }

  /** An own message before the server knows it. */
  pend(key, text, name, colour) {
    const entry = { key, seq: null, era: this.#era, author: name, own: true, at: Date.now(), state: "pending" };
    this.#draw(entry, { text, name, colour });
    this.#byKey.set(key, entry);
    this.#place(entry);
    this.#toEnd();
  }

  /** A delivery. Answers the key of the own message that it turned out to be, if it is one. */
  deliver(epoch, message, { name, colour }) {
    const known = message.seq === undefined ? null : this.#bySeq.get(`${epoch}/${message.seq}`);
    if (known) {
      this.#stamp(known, message.timestamp);
      return known.key;
    }
    const own = String(message.from?.user?.id ?? "") === this.#me;
    const waiting = own ? this.#byKey.get(message.data?.id) : null;
    if (waiting?.seq === null) {
      this.confirm(waiting.key, epoch, message.seq, message.timestamp);
      return waiting.key;
    }
    const text = typeof message.data === "string" ? message.data : (message.data?.text ?? JSON.stringify(message.data));
    const entry = { key: null, seq: message.seq ?? null, era: this.#era, author: name, own, at: message.timestamp };
    entry.state = "confirmed";
    this.#draw(entry, { text: String(text), name, colour, flags: message.flags, event: message.event });
    if (entry.seq !== null) this.#bySeq.set(`${epoch}/${entry.seq}`, entry);
    const stuck = this.#stuck;
    this.#place(entry);
    if (stuck || own) this.#toEnd();
    else this.#addUnseen();
    return null;
  }

  /** The server has given an own message its number. */
  confirm(key, epoch, seq, timestamp) {
    const entry = this.#byKey.get(key);
    if (!entry || entry.seq !== null) return;
    entry.seq = seq;
    entry.era = this.#era;
    entry.state = "confirmed";
    this.#bySeq.set(`${epoch}/${seq}`, entry);
    this.#stamp(entry, timestamp);
    this.#place(entry);
  }

  fail(key, reason) {
    const entry = this.#byKey.get(key);
    if (!entry || entry.seq !== null) return;
    entry.state = "failed";
    this.#stamp(entry, entry.at, reason);
  }

  retrying(key) {
    const entry = this.#byKey.get(key);
    if (!entry) return;
    entry.state = "pending";
    this.#stamp(entry);
  }

  note(text, mood = "") {
    const item = element("li", `note ${mood}`);
    item.append(element("span", "", text));
    const stuck = this.#stuck;
    this.#insert({ note: true, era: this.#era, item }, this.#endOfConfirmed());
    if (stuck) this.#toEnd();
  }

  /** What stands above belongs to a numbering that is over. */
  startEra(text) {
    for (const entry of this.#entries) if (entry.state !== "pending") entry.item.classList.add("past");
    this.#era += 1;
    this.note(text, "warn");
  }

  #draw(entry, { text, name, colour, flags = [], event = "" }) {
    entry.item = element("li", "message");
    entry.item.classList.toggle("own", entry.own);
    entry.meta = element("span", "meta");
    const line = element("div", "line");
    line.append(element("div", "bubble", text), entry.meta);
    const avatar = dress(element("span", "avatar"), name, colour);
    avatar.setAttribute("aria-hidden", "true");
    entry.item.append(avatar, element("div", "author", event ? `${name} · ${event}` : name), line);
    entry.flags = flags;
    this.#stamp(entry);
  }

  #stamp(entry, timestamp, reason = "") {
    entry.at = timestamp ?? entry.at;
    entry.item.classList.toggle("pending", entry.state === "pending");
    entry.item.classList.toggle("failed", entry.state === "failed");
    if (entry.state === "failed") {
      const again = element("button", "", "try again");
      again.type = "button";
      again.addEventListener("click", () => this.onRetry(entry.key, entry.item.querySelector(".bubble").textContent));
      entry.meta.replaceChildren(`not sent: ${reason} · `, again);
      return;
    }
    if (entry.state === "pending") {
      entry.meta.replaceChildren("waiting…");
      return;
    }
    const time = element("time", "", clock.format(entry.at));
    time.dateTime = new Date(entry.at).toISOString();
    if (entry.seq !== null) {
      entry.item.dataset.seq = entry.seq;
      entry.meta.replaceChildren(element("span", "number", `#${entry.seq}`), time);
    } else {
      entry.meta.replaceChildren(time);
    }
    for (const flag of entry.flags) entry.meta.append(element("span", "flag", `⚑ ${flag}`));
  }

  #endOfConfirmed() {
    let at = this.#entries.length;
    while (at > 0 && this.#entries[at - 1].state && this.#entries[at - 1].state !== "confirmed") at -= 1;
    return at;
  }

  /** Puts an entry where its number belongs; a waiting one stands at the end. */
  #place(entry) {
    const before = this.#entries.indexOf(entry);
    if (before >= 0) this.#entries.splice(before, 1);
    let at = entry.state === "confirmed" ? this.#endOfConfirmed() : this.#entries.length;
    while (entry.seq !== null && at > 0) {
      const other = this.#entries[at - 1];
      if (other.note || other.era !== entry.era || other.seq === null || other.seq < entry.seq) break;
      at -= 1;
    }
    this.#insert(entry, at, before);
  }

  #insert(entry, at, before = -1) {
    this.#entries.splice(at, 0, entry);
    const list = $("messages");
    // An item that stays where it is is not touched: a screen reader would read it again.
    if (at !== before) list.insertBefore(entry.item, this.#entries[at + 1]?.item ?? null);
    this.#group(at);
    this.#group(at + 1);
    if (before >= 0 && before !== at) this.#group(before + (before > at ? 1 : 0));
    $("empty").hidden = true;
    if (this.#entries.length > kKeptEntries) this.#forget(this.#entries.shift());
  }

  /** Messages of one author close in time stand together under one name. */
  #group(at) {
    const entry = this.#entries[at];
    if (!entry || entry.note) return;
    const above = this.#entries[at - 1];
    const follows = above && !above.note && above.author === entry.author && entry.at - above.at < kGroupMs;
    entry.item.classList.toggle("follow", Boolean(follows));
  }

  #forget(entry) {
    entry.item.remove();
    for (const map of [this.#byKey, this.#bySeq]) {
      for (const [name, held] of map) if (held === entry) map.delete(name);
    }
  }

  #atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = $("scroll");
    this.#stuck = scrollHeight - scrollTop - clientHeight < 40;
    return this.#stuck;
  }

  #toEnd() {
    $("scroll").scrollTop = $("scroll").scrollHeight;
    this.#stuck = true;
    this.#clearUnseen();
  }

  #addUnseen() {
    this.#unseen += 1;
    $("newer").hidden = false;
    $("newer").textContent = `↓ ${plural(this.#unseen, "new message")}`;
  }

  #clearUnseen() {
    this.#unseen = 0;
    $("newer").hidden = true;
  }
}

// ---- who is here

class Members {
  #members = new Map();

  replace(members) {
    this.#members = new Map(members.map((member) => [String(member.user.id), member]));
    $("members").classList.remove("stale");
    this.#draw();
  }

  change(action, member) {
    if (action === "leave") this.#members.delete(String(member.user.id));
    else this.#members.set(String(member.user.id), member);
    this.#draw();
  }

  /** The name and colour that a user's presence carries, or what its id gives. */
  look(userId) {
    const id = userId === undefined || userId === null ? "server" : String(userId);
    const data = this.#members.get(id)?.data;
    return { name: id, colour: colourOf(id, data?.colour) };
  }

  #draw() {
    const rows = [...this.#members.values()].sort((a, b) => a.since - b.since).map((member) => this.#row(member));
    const list = $("members");
    const text = rows.map((row) => row.outerHTML).join();
    // The list is asked for now and then; drawing it again when nothing changed would have it read aloud again.
    if (text !== this.drawn) list.replaceChildren(...rows);
    this.drawn = text;
    $("present-count").textContent = String(this.#members.size);
  }

  #row(member) {
    const id = String(member.user.id);
    const { colour } = this.look(id);
    const row = element("li", "member");
    row.dataset.user = id;
    const avatar = dress(element("span", "avatar"), id, colour);
    avatar.setAttribute("aria-hidden", "true");
    const name = element("span", "member-name", id);
    row.append(avatar, name);
    if (id === session.me) row.append(element("small", "", "you"));
    if (member.connections > 1) {
      row.append(element("span", "connections", plural(member.connections, "connection")));
    }
    return row;
  }
}

// ---- the log of protocol messages

class FrameLog {
  #polls = new Set();

  constructor() {
    $("log-pings").addEventListener("change", () => {
      for (const item of $("frames").children) item.hidden = item.dataset.routine === "true" && !$("log-pings").checked;
    });
  }

  add(direction, message) {
    const item = element("li", "");
    const routine = this.#isRoutine(direction, message);
    item.dataset.routine = routine;
    item.hidden = routine && !$("log-pings").checked;
    const frame = element("details", `frame ${direction}`);
    const summary = element("summary");
    const detail = [message.type, message.action, message.channel, message.code, message.seq && `#${message.seq}`];
    const way = element("span", "way", direction === "out" ? "↑" : "↓");
    way.setAttribute("aria-label", direction === "out" ? "sent" : "received");
    way.setAttribute("role", "img");
    summary.append(way, element("span", "what", detail.filter(Boolean).join(" ")), element("time", "", clock.format(Date.now())));
    frame.append(summary);
    frame.addEventListener("toggle", () => {
      if (frame.open && !frame.querySelector("pre")) frame.append(element("pre", "", JSON.stringify(message, null, 1)));
    });
    item.append(frame);
    const list = $("frames");
    list.prepend(item);
    // What goes on by itself has its own fifty, so that a quiet minute does not push everything else out.
    const alike = [...list.children].filter((other) => other.dataset.routine === String(routine));
    for (const old of alike.slice(kKeptFrames)) old.remove();
  }

  /** Pings and polls, and by their ids the replies to them. */
  #isRoutine(direction, { type, action, id }) {
    if (direction === "in") return this.#polls.delete(id);
    const routine = type === "ping" || (type === "presence" && action === "get");
    if (routine) this.#polls.add(id);
    return routine;
  }
}

// ---- the gauges

const trips = [];

function showTrip(ms) {
  trips.push(ms);
  if (trips.length > kKeptTrips) trips.shift();
  $("latency").textContent = $("bar-latency").textContent = tripText(ms);
  const top = Math.max(...trips, 1) * 1.15;
  const points = trips.map((trip, i) => {
    const x = trips.length === 1 ? 120 : (i / (trips.length - 1)) * 120;
    return `${x.toFixed(1)},${(36 - (trip / top) * 36).toFixed(1)}`;
  });
  if (points.length < 2) return;
  $("spark-line").setAttribute("d", `M${points.join("L")}`);
  $("spark-area").setAttribute("d", `M0,36L${points.join("L")}L120,36Z`);
}

function showCounters() {
  const { client, room } = session;
  if (!client) return;
  const { epoch, seq } = client.position(room);
  $("seq").textContent = epoch ? `seq ${seq}` : "–";
  $("epoch").textContent = epoch ? `epoch ${epoch}` : "";
  $("epoch").parentElement.title = $("epoch").textContent;
  $("queued").textContent = String(client.queued);
  for (const [name, value] of Object.entries(client.counters)) $(name).textContent = String(value);
}

/** The pill says the state, the banner what to expect; both count down, and only the state is announced. */
function showState() {
  const { client } = session;
  if (!client) return;
  const { name, reason, retryAt, everOpen } = client.state;
  const seconds = Math.max(1, Math.ceil((retryAt - performance.now()) / 1000));
  const label = name === "closed" && reason ? `closed: ${reason}` : name === "reconnecting" ? `reconnecting in ${seconds} s` : name;
  if ($("pill-text").textContent !== label) $("pill").title = $("pill-text").textContent = label;
  $("pill").dataset.state = name;
  $("bar-latency").hidden = name !== "open";
  if ($("spoken-state").textContent !== name) $("spoken-state").textContent = name;
  // Who was here is only what was known, until the server has said it anew.
  if (name !== "open") $("members").classList.add("stale");
  $("cut").disabled = name !== "open";
  const away = name === "closed" || name === "reconnecting" || (name === "connecting" && everOpen);
  const why = reason ? ` (${reason})` : "";
  $("banner").hidden = !away && !session.trouble;
  $("banner").classList.toggle("bad", name === "closed" || Boolean(session.trouble));
  $("retry").hidden = name === "connecting" || name === "open";
  $("retry").textContent = name === "closed" ? "Connect" : "Try now";
  if (name === "closed") $("banner-text").textContent = `The connection is closed${why}.`;
  else if (name === "reconnecting") $("banner-text").textContent = `No connection${why}. Next try in ${seconds} s; what you write waits.`;
  else if (name === "connecting") $("banner-text").textContent = "Trying to come back…";
  else if (session.trouble) $("banner-text").textContent = session.trouble;
}

// ---- the session: one name, one room, one client

const session = { client: null, me: "", room: "", awaySince: 0, trouble: "", unread: 0 };
const transcript = new Transcript({ onRetry: send });
const members = new Members();
const frameLog = new FrameLog();

async function fetchToken(name, signal) {
  const url = new URL("token", location.href);
  url.search = new URLSearchParams({ name });
  const response = await fetch(url, { signal, cache: "no-store" });
  if (response.status >= 400 && response.status < 500 && response.status !== 429) {
    throw new PermanentError(`no token, HTTP ${response.status}`);
  }
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()).token;
}

function enter(name, room) {
  sessionStorage.setItem("tidewire.name", name);
  sessionStorage.setItem("tidewire.room", room);
  session.me = name;
  $("gate").hidden = true;
  $("desk").hidden = $("bar-state").hidden = false;
  $("me-name").textContent = name;
  dress($("me-avatar"), name, colourOf(name));

  // The page's own address leads to the socket's, so that a path prefix set by a proxy is kept.
  const url = new URL("../ws?inbox=manual", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const client = new Client({ url: url.href, fetchToken: (signal) => fetchToken(name, signal) });
  session.client = client;
  listen(client);
  moveTo(room);
  client.start();
  $("text").focus();
}

function leave() {
  const { client, room } = session;
  client.unfollow(room);
  client.stop();
  session.client = null;
  sessionStorage.removeItem("tidewire.name");
  $("desk").hidden = $("bar-state").hidden = true;
  $("gate").hidden = false;
  $("gate-room").value = room;
  document.title = "Tidewire demo";
  trips.length = 0;
  $("name").focus();
  $("name").select();
}

function moveTo(room) {
  const { client, me } = session;
  if (session.room && session.room !== room) client.unfollow(session.room);
  session.room = room;
  session.trouble = "";
  sessionStorage.setItem("tidewire.room", room);
  transcript.reset(me);
  members.replace([]);
  showRooms();
  client.follow(room, { history: kHistory, presence: { name: me, colour: colourOf(me) } });
}

function showRooms() {
  const rooms = [...new Set([...kRooms, session.room])];
  const options = rooms.map((room) => new Option(room, room, false, room === session.room));
  $("room").replaceChildren(...options, new Option("another room…", ""));
  $("room-new").hidden = true;
}

function send(key, text) {
  transcript.retrying(key);
  session.client.publish(session.room, { id: key, text }, key);
}

function listen(client) {
  const here = (channel) => session.client === client && channel === session.room;
  client.on("state", ({ name }) => {
    if (session.client !== client) return;
    if (name === "reconnecting" && !session.awaySince) session.awaySince = performance.now();
    showState();
  });
  client.on("connected", () => (session.trouble = ""));
  client.on("frame", ({ direction, message }) => frameLog.add(direction, message));
  client.on("latency", ({ ms }) => {
    showTrip(ms);
    client.askPresence(session.room);
  });
  client.on("subscribed", ({ channel, message, resumedFrom }) => {
    if (here(channel)) continued(message, resumedFrom);
  });
  client.on("message", ({ channel, epoch, message }) => {
    if (!here(channel)) return;
    const settled = transcript.deliver(epoch, message, members.look(message.from?.user?.id));
    if (settled) client.settle(settled);
    else if (document.hidden) document.title = `(${++session.unread}) Tidewire demo`;
  });
  client.on("gap", ({ channel, from, to }) => {
    if (here(channel)) transcript.note(`Messages ${from} to ${to} are no longer kept.`, "warn");
  });
  client.on("presence", ({ channel, members: list }) => here(channel) && members.replace(list));
  client.on("member", ({ channel, action, member }) => here(channel) && members.change(action, member));
  client.on("published", ({ key, channel, epoch, seq }) => here(channel) && transcript.confirm(key, epoch, seq));
  client.on("refused", ({ key, channel, code }) => here(channel) && transcript.fail(key, code));
  client.on("draining", () => transcript.note("The server says that it will go away for a moment."));
  client.on("trouble", ({ channel, code, message }) => {
    if (!here(channel)) return;
    session.trouble = `${channel}: ${message ?? code} (${code})`;
    showState();
  });
}

/** Says how the room goes on after a connection was gone. */
function continued(message, resumedFrom) {
  const away = session.awaySince ? ` after ${((performance.now() - session.awaySince) / 1000).toFixed(1)} s` : "";
  session.awaySince = 0;
  if (!resumedFrom) return;
  if (message.recovered) {
    const count = message.seq - resumedFrom.seq;
    const what = count === 0 ? "Nothing was missed." : `${plural(count, "message")} caught up, nothing missed.`;
    transcript.note(`Back${away}. ${what}`, "good");
  } else if (message.reason === "trimmed") {
    transcript.note(`Back${away}. Some messages are no longer kept; what follows is what is.`, "warn");
  } else {
    const why = `The server started anew, and so did this room: it lives in memory. Epoch ${message.epoch} begins.`;
    transcript.startEra(`Back${away}. ${why}`);
  }
}

// ---- controls

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  enter($("name").value, $("gate-room").value);
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  const key = crypto.randomUUID();
  transcript.pend(key, text, session.me, colourOf(session.me));
  send(key, text);
});

$("room").addEventListener("change", () => {
  if ($("room").value) return moveTo($("room").value);
  $("room-new").hidden = false;
  $("room-name").focus();
});

$("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  moveTo($("room-name").value);
});

$("leave").addEventListener("click", leave);
$("cut").addEventListener("click", () => session.client.cut(3_000));
$("retry").addEventListener("click", () => {
  if (session.client.state.name === "closed") session.client.start();
  else session.client.retryNow();
});

window.addEventListener("online", () => session.client?.retryNow());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  session.unread = 0;
  document.title = "Tidewire demo";
  session.client?.retryNow();
});

setInterval(() => {
  showState();
  showCounters();
}, 250);

const name = sessionStorage.getItem("tidewire.name");
const room = sessionStorage.getItem("tidewire.room") ?? kRooms[0];
$("gate-room").value = room;
if (name) {
  enter(name, room);
} else {
  $("name").value = kNames[Math.floor(Math.random() * kNames.length)];
  $("name").focus();
  $("name").select();
}
