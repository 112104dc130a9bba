// The admin page: what goes on in the server, and the few things an operator does about it.

import { useEffect, useState, type FormEvent, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { Card } from "../shared/pieces.js";
import { Api, ApiError } from "./api.js";
import { Analytics } from "./parts/analytics.js";
import { ChannelCard, Channels } from "./parts/channels.js";
import { Connections } from "./parts/connections.js";
import { Overview } from "./parts/overview.js";
import { ApiContext, Trouble } from "./parts/pieces.js";
import { messageOf } from "./poll.js";

const kStored = "tidewire-admin-key";

function App(): ReactNode {
  const [api, setApi] = useState<Api | null>(() => {
    const key = sessionStorage.getItem(kStored);
    return key ? new Api(key) : null;
  });
  useEffect(() => {
    if (api) sessionStorage.setItem(kStored, api.key);
    else sessionStorage.removeItem(kStored);
  }, [api]);
  return api ? <Desk api={api} leave={() => setApi(null)} /> : <Gate enter={setApi} />;
}

function Gate({ enter }: { enter: (api: Api) => void }): ReactNode {
  const [trouble, setTrouble] = useState("");
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const api = new Api(String(new FormData(event.currentTarget).get("key")).trim());
    try {
      await api.connections("", 1);
      enter(api);
    } catch (error) {
      setTrouble(error instanceof ApiError && error.status === 403 ? "This is no API key of scope admin." : messageOf(error));
    }
  };
  return (
    <main className="gate">
      <form className="card gate-card" onSubmit={(event) => void submit(event)}>
        <img src="favicon.svg" alt="" width="52" height="52" />
        <h1>Tidewire admin</h1>
        <label htmlFor="key">API key</label>
        <input id="key" name="key" type="password" required autoComplete="off" autoFocus aria-describedby="key-hint" />
        <p className="hint" id="key-hint">
          One of scope <code>admin</code>; <code>tw_dev</code> in development mode. It stays in this tab.
        </p>
        <Trouble text={trouble} />
        <button className="primary" type="submit">
          Come in
        </button>
      </form>
    </main>
  );
}

function Desk({ api, leave }: { api: Api; leave: () => void }): ReactNode {
  const [channel, setChannel] = useState("");
  return (
    <ApiContext.Provider value={api}>
      <header className="bar">
        <span className="brand">
          <img src="favicon.svg" alt="" width="28" height="28" />
          <span className="wordmark">Tidewire</span>
          <span className="tag">admin</span>
        </span>
        <button className="quiet" type="button" onClick={leave}>
          Sign out
        </button>
      </header>
      <main className="admin">
        <h1 className="visually-hidden">Tidewire admin</h1>
        <Overview />
        <Analytics />
        <Connections />
        <Channels chosen={channel} choose={setChannel} />
        {channel ? (
          <ChannelCard channel={channel} />
        ) : (
          <Card id="channel" title="Messages" icon="inbox">
            <p className="hint roomy">Choose a channel to see its members, its state and its messages as they come, and to publish to it.</p>
          </Card>
        )}
      </main>
    </ApiContext.Provider>
  );
}

createRoot(document.getElementById("app")!).render(<App />);
