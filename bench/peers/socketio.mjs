// Socket.IO over its WebSocket transport: `echo` goes back to its sender, `msg` to everybody
// else. PORT, DEFLATE (0 or 1) in the environment.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  maxHttpBufferSize: 64 << 20,
  perMessageDeflate: process.env.DEFLATE === '1'
    ? { threshold: 0, serverNoContextTakeover: true }
    : false,
});

io.on('connection', (socket) => {
  socket.on('echo', (data) => socket.emit('echo', data));
  socket.on('msg', (data) => socket.broadcast.emit('msg', data));
});

http.listen(Number(process.env.PORT), '127.0.0.1');
