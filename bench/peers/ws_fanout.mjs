// npm `ws` as a broadcaster: what arrives on /pub goes to everybody on /sub.
// PORT, DEFLATE (0 or 1) in the environment. No context takeover when deflating, as the
// other servers of this bench answer, so that every copy can be read on its own.
import { WebSocketServer } from 'ws';

const subscribers = new Set();
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env.PORT),
  perMessageDeflate: process.env.DEFLATE === '1'
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
