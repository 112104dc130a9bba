// What a browser (and Node.js 22) has and Node.js 20 does not.
import { WebSocket } from "ws";
globalThis.WebSocket ??= WebSocket;

// A script that stands in a page of the server's: addresses count from there.
globalThis.location = new URL(process.env.PAGE_ADDRESS ?? "http://127.0.0.1:8080/demo/");
const { fetch } = globalThis;
globalThis.fetch = (address, options) => fetch(typeof address === "string" ? new URL(address, globalThis.location) : address, options);
