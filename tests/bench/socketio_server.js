// A broadcaster on socket.io, for the benchmark: ?group=G in the handshake puts a connection into the room G, and the event
// "publish" (group, data) sends the event "bench" (data) to that room. WebSocket only, and no heartbeat within a run.
// Usage: node socketio_server.js PORT
"use strict";
const http = require("http");
const { Server } = require("socket.io");

const HOUR_MS = 3600 * 1000;
const web = http.createServer();
const server = new Server(web, {
    transports: ["websocket"],
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    pingInterval: HOUR_MS,
});

server.on("connection", (socket) => {
    const group = socket.handshake.query.group;
    if (group) socket.join(group);
    socket.on("publish", (to, data) => server.to(to).emit("bench", data));
});

web.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
