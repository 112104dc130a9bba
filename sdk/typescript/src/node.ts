// The entry for Node.js: the same, with a WebSocket where the platform has none yet.

import { NodeWebSocket } from "./node_socket.js";
import { setWebSocketFallback } from "./transport.js";

setWebSocketFallback(NodeWebSocket);

export * from "./index.js";
