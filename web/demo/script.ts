// What the demo's "agent" says: canned, but another text for each seed. The same prompt and seed always give the same
// script, so whoever has to go on with a run knows from the text that the server has where it was.

export interface Script {
  before: string;
  tool: { id: string; name: string; arguments: Record<string, unknown> };
  result: Record<string, unknown>;
  after: string;
}

export const kPrompts = ["Why are there two tides a day?", "Tell me a short story of the sea", "How does Tidewire resume?"] as const;

type Pick = <V>(options: readonly V[]) => V;

export function scriptOf(prompt: string, seed: number): Script {
  const pick = picker(seed);
  const write = [tides, story, resume][Math.max(0, kPrompts.indexOf(prompt as (typeof kPrompts)[number]))]!;
  return write(pick);
}

/** About a word: what is sent next from `at` on. */
export function nextPiece(text: string, at: number): string {
  const end = text.slice(at + 1).search(/\s/);
  return end < 0 ? text.slice(at) : text.slice(at, at + 1 + end);
}

function tides(pick: Pick): Script {
  const port = pick(["Saint-Malo", "Hook of Holland", "Port Isaac", "Bilbao", "Bergen"]);
  const high = pick([4.2, 6.8, 11.4, 7.1]);
  const hour = pick([3, 5, 7, 9]);
  return {
    before: pick([
      "Short answer: the Moon pulls, and the Earth turns underneath. Let me look at a real harbour before I explain it. ",
      "Good question. It is easier to see with numbers, so I will fetch today's table for a harbour first. ",
    ]),
    tool: { id: "t1", name: "tide_table", arguments: { port, days: 1 } },
    result: { port, high: [`${hour}:12`, `${hour + 12}:37`], low: [`${hour + 6}:25`, `${(hour + 18) % 24}:49`], range_m: high },
    after: [
      `In ${port} the water is high at ${hour}:12 and again at ${hour + 12}:37, with ${high} metres between high and low.`,
      pick([
        "The Moon draws the sea towards it, and on the far side the water is left behind a little: two bulges, one facing the Moon and one facing away.",
        "Gravity weakens with distance. The near side of the Earth is pulled more than its middle, the far side less, so the water stands high on both.",
      ]),
      "The Earth turns through both bulges once a day. That makes two highs and two lows.",
      pick([
        "They come about fifty minutes later each day, because the Moon has moved on by then.",
        "The Moon moves on meanwhile, which is why the table shifts by fifty minutes from one day to the next.",
      ]),
      pick([
        "When the Sun stands in line with it, at new and full moon, the two pulls add up: a spring tide.",
        "At half moon the Sun pulls crosswise and evens it out. Sailors call that a neap tide.",
      ]),
    ].join(" "),
  };
}

function story(pick: Pick): Script {
  const who = pick(["Marit", "old Tomas", "the lighthouse keeper", "Inês"]);
  const boat = pick(["Perseverance", "Second Thought", "Kittiwake", "Low Expectations"]);
  return {
    before: `A story, then. First the weather, because every story of the sea has some. `,
    tool: { id: "t1", name: "sea_state", arguments: { area: pick(["Dogger", "Fastnet", "Biscay", "Skagerrak"]) } },
    result: { wind_kn: pick([9, 17, 28]), swell_m: pick([0.6, 1.8, 3.1]), outlook: pick(["fog by evening", "clearing", "rain later"]) },
    after: [
      `Every night ${who} counted the lamps along the harbour wall, and every night there were eleven.`,
      `On the evening the ${boat} did not come back there were twelve.`,
      pick([
        "The twelfth burned low over the water, where there was no wall to hang it on.",
        "The twelfth was green, and it blinked as if it were waiting for an answer.",
      ]),
      pick([
        "So a lantern was lifted three times, which in that village means: go on from where you were.",
        "So the bell was rung once, which in that village means: we have kept your place.",
      ]),
      pick(["The light came nearer, tack by tack,", "The light turned, hesitated,", "The light went out, came back,"]) +
        ` and behind it the ${boat}, with every sail torn and nothing missing.`,
      pick(["“You have been away,” they said. “Four hours,” said the skipper. “What did I miss?”", "“We thought the line was cut.” “It was,” said the skipper. “I remembered the number.”"]),
    ].join(" "),
  };
}

function resume(pick: Pick): Script {
  const seq = pick([128, 417, 2048, 77]);
  return {
    before: "Every channel numbers what it carries, and every reader keeps the last number it has seen. Let me ask the log. ",
    tool: { id: "t1", name: "read_log", arguments: { channel: "session:lobby", after: seq } },
    result: { first: seq + 1, last: seq + pick([3, 6, 11]), recovered: true },
    after: [
      `Say you were at ${seq} when the train went into the tunnel.`,
      pick([
        "The connection is gone, but the number is yours.",
        "The socket dies, the number does not.",
      ]),
      `When you come back you say “${seq}”, and the server sends everything after it, in order, once.`,
      pick([
        "If some of it has left the log by then, it says so: a gap is announced and never papered over.",
        "If the numbering itself began anew, it says that too, with another epoch and a fresh state.",
      ]),
      "What you wrote in the tunnel waits with a key of its own, so sending it twice does not say it twice.",
      pick([
        "This very text works like that: reload the page and it goes on, with not a word twice.",
        "Try it on this run. Reload, or open a second tab: the text so far is there, then the rest.",
      ]),
    ].join(" "),
  };
}

function picker(seed: number): Pick {
  let state = seed >>> 0;
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return (options) => options[Math.floor(random() * options.length)]!;
}
