// graphql-ws, told what to do: a JSON command a line in, a JSON event a line out.
import { createInterface } from "node:readline";

import { createClient } from "graphql-ws";
import WebSocket from "ws";

const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const options = JSON.parse(process.argv[3] ?? "{}");

let socket;
const client = createClient({
  url: process.argv[2],
  webSocketImpl: WebSocket,
  retryAttempts: 50,
  retryWait: () => new Promise((done) => setTimeout(done, 50)),
  shouldRetry: () => true,
  ...options,
  on: {
    connected: (opened) => {
      socket = opened;
      say({ event: "connected" });
    },
    closed: ({ code, reason }) => say({ event: "closed", code, reason }),
    pong: (received) => received && say({ event: "pong" }),
  },
});

const open = new Map();
const commands = {
  // The message is written anew at each connect: changing `after` in it is all that resuming takes.
  subscribe({ id, query, variables = {}, resume = true }) {
    const payload = { query, variables: { ...variables } };
    open.set(
      id,
      client.subscribe(payload, {
        next: (result) => {
          const told = Object.values(result.data ?? {})[0];
          if (resume && told?.cursor) payload.variables.after = told.cursor;
          say({ event: "next", id, result });
        },
        error: (error) => {
          const errors = Array.isArray(error) ? error : null;
          say({ event: "error", id, errors, close: error?.code, words: String(error?.message) });
        },
        complete: () => say({ event: "complete", id }),
      }),
    );
  },
  unsubscribe({ id }) {
    open.get(id)();
  },
  raw({ text }) {
    socket.send(text);
  },
  terminate() {
    client.terminate();
  },
  reset() {
    socket._socket.resetAndDestroy();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  commands[command](rest);
}
await client.dispose();
