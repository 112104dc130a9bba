// The demo: everything that Tidewire does, live, on one page.

import { useEffect, useMemo, useState, type FormEvent, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { TidewireProvider } from "@tidewire/client/react";
import { Agent } from "./parts/agent.js";
import { Avatar, Icon, WorldContext } from "./parts/bits.js";
import { Chat } from "./parts/chat.js";
import { Dashboard } from "./parts/dashboard.js";
import { Inboxes } from "./parts/inbox.js";
import { NetworkCard, NetworkSwitch, StatePill } from "./parts/network.js";
import { Uploads } from "./parts/upload.js";
import { addressOf, keepWho, knownWho, kNamePattern, kNameRule, kRoomPattern, suggestedWho, type Who } from "./who.js";
import { fetchToken, NoTokens, World } from "./world.js";

const kSections = [
  ["chat", "Chat"],
  ["agent", "Agent"],
  ["upload", "Upload"],
  ["inbox", "Inbox"],
  ["dashboard", "Server"],
  ["network", "Network"],
] as const;

function App(): ReactNode {
  const [who, setWho] = useState(knownWho);
  useEffect(() => keepWho(who), [who]);
  return who ? <Desk key={`${who.name} ${who.room}`} who={who} leave={() => setWho(null)} /> : <Gate enter={setWho} />;
}

function Gate({ enter }: { enter: (who: Who) => void }): ReactNode {
  const suggested = useMemo(suggestedWho, []);
  const [trouble, setTrouble] = useState("");
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const who = { name: String(fields.get("name")), room: String(fields.get("room")) };
    try {
      await fetchToken(who.name);
      enter(who);
    } catch (error) {
      setTrouble(error instanceof NoTokens ? error.message : "The server does not answer. Is it running?");
    }
  };
  return (
    <main className="gate" id="gate">
      <form className="card gate-card" onSubmit={(event) => void submit(event)}>
        <img src="favicon.svg" alt="" width="52" height="52" />
        <h1>Tidewire, live</h1>
        <p className="lead">Chat, presence, a dashboard, uploads, an agent that streams, an inbox on two devices, and a switch that breaks the network.</p>
        <label htmlFor="name">Your name</label>
        <input id="name" name="name" required maxLength={24} pattern={kNamePattern} title={kNameRule} defaultValue={suggested.name} autoComplete="off" spellCheck={false} autoFocus aria-describedby="name-hint" />
        <p className="hint" id="name-hint">
          Any will do: letters A to Z, digits, dot, dash, underscore.
        </p>
        <details>
          <summary>Another room than {suggested.room}</summary>
          <label htmlFor="room">Room</label>
          <input id="room" name="room" required maxLength={40} pattern={kRoomPattern} title={kNameRule} defaultValue={suggested.room} autoComplete="off" autoCapitalize="off" spellCheck={false} />
        </details>
        {trouble && (
          <p className="banner bad" role="alert">
            {trouble}
          </p>
        )}
        <button className="primary" type="submit">
          Come in
        </button>
      </form>
    </main>
  );
}

function Desk({ who, leave }: { who: Who; leave: () => void }): ReactNode {
  const [world, setWorld] = useState<World | null>(null);
  const [section, setSection] = useState("chat");
  useEffect(() => {
    const made = new World(who);
    setWorld(made);
    return () => made.end();
  }, []);
  if (!world) return null;
  return (
    <WorldContext.Provider value={world}>
      <TidewireProvider client={world.client}>
        <header className="bar">
          <a className="brand" href={addressOf(who.room)} target="_blank" rel="noopener" title="Open another tab as somebody else">
            <img src="favicon.svg" alt="" width="28" height="28" />
            <span className="wordmark">Tidewire</span>
            <span className="tag">{who.room}</span>
          </a>
          <NetworkSwitch id="bar" />
          <StatePill />
          <span className="me">
            <Avatar name={who.name} />
            <span className="me-name" id="me-name">
              {who.name}
            </span>
            <button className="quiet" type="button" onClick={leave}>
              Change<span className="wide"> name</span>
            </button>
          </span>
        </header>
        <main className="desk" data-section={section}>
          <h1 className="visually-hidden">Tidewire, live</h1>
          <Chat />
          <Agent />
          <Uploads />
          <Inboxes />
          <Dashboard />
          <NetworkCard />
        </main>
        <nav className="tabs" aria-label="Parts of the demo">
          {kSections.map(([id, text]) => (
            <button key={id} type="button" aria-current={section === id ? "page" : undefined} onClick={() => setSection(id)}>
              <Icon name={id} />
              {text}
            </button>
          ))}
        </nav>
      </TidewireProvider>
    </WorldContext.Provider>
  );
}

createRoot(document.getElementById("app")!).render(<App />);
