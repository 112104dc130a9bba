// A chat with history, presence and signs of typing, on the hooks of @tidewire/client.

import { Tidewire } from "@tidewire/client";
import { TidewireProvider, useChannel, useConnection, usePresence } from "@tidewire/client/react";
import { useRef, useState } from "react";
import { createRoot } from "react-dom/client";

const kRoom = "room:react-chat";
const kTypingMs = 3000;

function Connection() {
  const { name, retryAtMs, error } = useConnection();
  if (name === "connected") return null;
  const seconds = retryAtMs ? `, again in ${Math.max(0, Math.ceil((retryAtMs - Date.now()) / 1000))} s` : "";
  return (
    <p role="status">
      {name}
      {seconds} {error?.message}
    </p>
  );
}

function useTyping() {
  const [who, setWho] = useState([]);
  const timers = useRef(new Map());
  const heard = (name) => {
    clearTimeout(timers.current.get(name));
    timers.current.set(name, setTimeout(() => setWho((all) => all.filter((one) => one !== name)), kTypingMs));
    setWho((all) => (all.includes(name) ? all : [...all, name]));
  };
  return [who, heard];
}

function Room({ name }) {
  const [typing, heardTyping] = useTyping();
  const { channel, messages } = useChannel(kRoom, {
    history: 50,
    presence: true,
    onMessage: ({ event, from }) => event === "typing" && heardTyping(String(from.user.id)),
  });
  const { members } = usePresence(kRoom, { name });
  const [text, setText] = useState("");
  const [failure, setFailure] = useState("");
  const typedAtMs = useRef(0);

  const write = (event) => {
    setText(event.target.value);
    if (Date.now() < typedAtMs.current + kTypingMs / 2) return;
    typedAtMs.current = Date.now();
    channel.publish({}, { event: "typing", ephemeral: true, echo: false }).catch(() => {});
  };
  const send = (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    setText("");
    // It is sent until it is answered, over reconnects too.
    channel.publish({ text }).then(() => setFailure(""), (error) => setFailure(`"${text}" was not sent: ${error.message}`));
  };
  return (
    <>
      <p id="members">{members.map(({ user }) => user.id).join(", ")}</p>
      <ol id="messages">
        {messages
          .filter(({ seq }) => seq)
          .map(({ seq, from, data, timestamp }) => (
            <li key={seq}>
              <b>{from?.user?.id ?? "the back end"}</b> {data.text} <small>{new Date(timestamp).toLocaleTimeString()}</small>
            </li>
          ))}
      </ol>
      <p>
        <small id="typing">{typing.length ? `${typing.join(", ")} typing…` : "\u00a0"}</small> {failure}
      </p>
      <form onSubmit={send}>
        <input id="text" value={text} onChange={write} placeholder="hello" autoFocus /> <button>Send</button>
      </form>
    </>
  );
}

function App() {
  const [client, setClient] = useState(null);
  const [name, setName] = useState(new URLSearchParams(location.search).get("name") ?? "");
  const enter = (event) => {
    event.preventDefault();
    const token = async () => {
      const response = await fetch(`/token?name=${encodeURIComponent(name)}`);
      if (!response.ok) throw new Error(await response.text());
      return response.text();
    };
    setClient(new Tidewire(TIDEWIRE_URL, { token }));
  };
  if (client) {
    return (
      <TidewireProvider client={client}>
        <h1>Chat</h1>
        <Connection />
        <Room name={name} />
      </TidewireProvider>
    );
  }
  return (
    <form onSubmit={enter}>
      <h1>Chat</h1>
      <input id="name" value={name} onChange={(event) => setName(event.target.value)} placeholder="your name" pattern="[\w.\-]{1,50}" required autoFocus />{" "}
      <button>Enter</button>
    </form>
  );
}

createRoot(document.getElementById("root")).render(<App />);
