// npm `ws` as an echo server: PORT, DEFLATE (0 or 1) in the environment.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env.PORT),
  maxPayload: 64 << 20,
  perMessageDeflate: process.env.DEFLATE === '1' ? { threshold: 0 } : false,
});

server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => {});
});
