// The address of a server as an application writes it, and as the socket needs it.

import { misuse } from "./errors.js";

/** `https://host` becomes `wss://host/ws`. The inbox is followed when the application asks for it, not by itself. */
export function socketUrl(address: string | URL): string {
  let url: URL;
  try {
    url = new URL(address, (globalThis as { location?: { href: string } }).location?.href);
  } catch {
    throw misuse(`"${address}" is no address like "wss://example.com/ws"`);
  }
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(url.protocol)) throw misuse(`"${address}" must begin with wss:, ws:, https: or http:`);
  if (url.pathname === "/") url.pathname = "/ws";
  url.hash = "";
  url.searchParams.set("inbox", "manual");
  return url.href;
}
