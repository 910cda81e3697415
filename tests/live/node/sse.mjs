// graphql-sse in distinct connections mode, told what to do as ws.mjs is.
import { createInterface } from "node:readline";

import { createClient } from "graphql-sse";

const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const options = JSON.parse(process.argv[3] ?? "{}");

const client = createClient({
  url: process.argv[2],
  retryAttempts: 50,
  retry: () => new Promise((done) => setTimeout(done, 50)),
  ...options,
});

const open = new Map();
const commands = {
  // The request is written anew at each connect: changing `after` in it is all that resuming takes.
  subscribe({ id, query, variables = {}, resume = true }) {
    const request = { query, variables: { ...variables } };
    open.set(
      id,
      client.subscribe(
        request,
        {
          next: (result) => {
            const told = Object.values(result.data ?? {})[0];
            if (resume && told?.cursor) request.variables.after = told.cursor;
            say({ event: "next", id, result });
          },
          error: (error) => say({ event: "error", id, words: String(error?.message) }),
          complete: () => say({ event: "complete", id }),
        },
        { connected: (reconnected) => say({ event: "connected", id, reconnected }) },
      ),
    );
  },
  unsubscribe({ id }) {
    open.get(id)();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  commands[command](rest);
}
client.dispose();
