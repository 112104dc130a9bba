// A bad network in the test's hands: a TCP proxy that delays, stalls and cuts.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

interface Pair {
  client: Socket;
  server: Socket;
}

export class Proxy {
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #listener: Server;
  /** Each way. */
  delayMs = 0;
  /** New connections are cut at once. */
  isDown = false;
  /** Connections that were made. */
  count = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#listener = createServer((client) => this.#accept(client));
  }

  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Ends all connections, as a lost network does when it comes back. */
  cut(): void {
    for (const { client, server } of [...this.#pairs]) {
      client.destroy();
      server.destroy();
    }
  }

  /** Nothing comes through any more, and nobody is told. New connections work. */
  stall(): void {
    for (const { client, server } of this.#pairs) {
      for (const socket of [client, server]) {
        socket.removeAllListeners("data");
        socket.pause();
      }
    }
  }

  /** Each next connection is cut after the next of these many bytes from the server: in the middle of whatever that is. */
  readonly cutsAfterBytes: number[] = [];

  async dispose(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #accept(client: Socket): void {
    if (this.isDown) return void client.destroy();
    this.count += 1;
    const server = connect(this.#target, "127.0.0.1");
    const pair = { client, server };
    this.#pairs.add(pair);
    this.#pass(client, server, Infinity);
    this.#pass(server, client, this.cutsAfterBytes.shift() ?? Infinity);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => this.#end(pair));
    }
  }

  #pass(from: Socket, to: Socket, left: number): void {
    from.on("data", (bytes: Buffer) => {
      const part = bytes.subarray(0, left);
      left -= part.length;
      const send = (): void => {
        if (to.destroyed || to.writableEnded) return;
        to.write(part);
        // What was written before still arrives.
        if (left <= 0) to.end();
      };
      if (this.delayMs) setTimeout(send, this.delayMs);
      else send();
    });
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }
}
