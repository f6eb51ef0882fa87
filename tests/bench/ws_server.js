// A plain broadcaster on the ws package, for the benchmark: ?group=G makes a connection a member of G, ?to=G sends what it
// says to the members of G (itself among them, if it is one). With --echo each message goes back to its sender alone.
// Usage: node ws_server.js PORT [--echo]
"use strict";
const { WebSocketServer } = require("ws");

const isEcho = process.argv.includes("--echo");
const groups = new Map();

function membersOf(group) {
    if (!groups.has(group)) groups.set(group, new Set());
    return groups.get(group);
}

const server = new WebSocketServer({
    host: "127.0.0.1",
    port: Number(process.argv[2]),
    backlog: 4096,
    perMessageDeflate: false,
});

server.on("connection", (socket, request) => {
    const query = new URLSearchParams(request.url.split("?")[1]);
    const [group, to] = [query.get("group"), query.get("to")];
    if (group) {
        membersOf(group).add(socket);
        socket.on("close", () => membersOf(group).delete(socket));
    }
    if (!isEcho && !to) return;
    socket.on("message", (data, isBinary) => {
        for (const member of isEcho ? [socket] : membersOf(to)) member.send(data, { binary: isBinary });
    });
});
