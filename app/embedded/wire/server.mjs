// The listening socket and what all connections share.
import net from 'node:net';

import { Connection } from './connection.mjs';
import { Isolation } from './isolation.mjs';
import { fatal } from './protocol.mjs';
import { Scheduler } from './scheduler.mjs';
import { runUnit } from './turn.mjs';
import { startWatchdog } from './watchdog.mjs';

const MIB = 2 ** 20;
const STALL_CHECK_MS = 1_000;
// Connections that have not started a session yet, beyond the sessions allowed.
const STARTING_CONNECTIONS = 50;

export const LIMITS = {
  sessions: 100,
  // One message of a client; what a client may send ahead; what all clients together may; all
  // COPY data that is kept.
  messageBytes: 256 * MIB,
  aheadBytes: 8 * MIB,
  unreadBytes: 1024 * MIB,
  copyBytes: 1024 * MIB,
  // One answer; what all clients together have not read; the same of a client that listens.
  resultBytes: 256 * MIB,
  unsentBytes: 1024 * MIB,
  notificationBytes: 16 * MIB,
  startupMs: 60_000,
  idleInTransactionMs: 60_000,
  stallMs: 30_000,
};

/** Serve `backend` on a Unix socket: {listen, stop, crash}. */
export function createServer(backend, limits, onParentGone) {
  const isolation = new Isolation(backend);
  const watchdog = startWatchdog({ interrupt: () => backend.interrupt(), onParentGone });
  const connections = new Set();
  let lastSessionId = 0;
  const shared = {
    backend, isolation, limits, connections,
    parameters: new Map([...backend.parameters, ...isolation.settings.reported()]),
    scheduler: new Scheduler({
      run: (session) => runUnit(session, { backend, isolation, watchdog, limits }),
      idleMs: limits.idleInTransactionMs,
    }),
    unread: { bytes: 0 },
    unsent: { bytes: 0 },
    copyBudget: budget(limits.copyBytes),
    nextSessionId: () => (lastSessionId += 1),
    sessionCount: () => [...connections].filter((each) => each.sessionId).length,
    cancel: (sessionId, secret) => {
      for (const each of connections) if (each.sessionId === sessionId) each.cancel(secret);
    },
  };

  const listener = net.createServer((socket) => {
    if (connections.size >= limits.sessions + STARTING_CONNECTIONS) socket.destroy();
    else connections.add(new Connection(socket, shared));
  });
  const stallCheck = setInterval(() => {
    const now = Date.now();
    for (const each of connections) each.closeIfStalled(now);
  }, STALL_CHECK_MS);
  stallCheck.unref();

  function closeAll(code, text) {
    listener.close();
    for (const each of [...connections]) each.end(fatal(code, text));
  }

  return {
    listen: (socketPath) => new Promise((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(socketPath, resolve);
    }),
    /** Close every connection and the data directory, cleanly. */
    stop: () => {
      closeAll('57P01', 'terminating connection due to administrator command');
      backend.shutDown();
    },
    /** Tell the clients that the backend is gone. */
    crash: () => {
      listener.close();
      const text = 'terminating connection because the embedded database is restarting';
      for (const each of connections) each.send([fatal('57P02', text)]);
    },
  };
}

function budget(total) {
  let left = total;
  return {
    total,
    take: (bytes) => {
      if (bytes > left) return false;
      left -= bytes;
      return true;
    },
    give: (bytes) => {
      left += bytes;
    },
  };
}
