// npm `ws` as a broadcaster: what arrives on /pub goes to everybody on /sub.
// PORT, DEFLATE (0 or 1), TLS_CERT and TLS_KEY (PEM files) in the environment. No context takeover when
// deflating, as the other servers of this bench answer, so that every copy can be read on its own.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { WebSocketServer } from 'ws';

const { PORT, DEFLATE, TLS_CERT, TLS_KEY } = process.env;
const listener = TLS_CERT
  ? createTlsServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : createServer();
const subscribers = new Set();
const server = new WebSocketServer({
  server: listener,
  perMessageDeflate: DEFLATE === '1'
    ? { threshold: 0, serverNoContextTakeover: true }
    : false,
});

server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (request.url === '/sub') {
    subscribers.add(socket);
    socket.on('close', () => subscribers.delete(socket));
    return;
  }
  socket.on('message', (data, isBinary) => {
    for (const subscriber of subscribers) subscriber.send(data, { binary: isBinary });
  });
});
listener.listen(Number(PORT), '127.0.0.1');
