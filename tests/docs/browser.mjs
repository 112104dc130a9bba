// What a browser (and Node.js 22) has and Node.js 20 does not.
import { WebSocket } from "ws";
globalThis.WebSocket ??= WebSocket;
