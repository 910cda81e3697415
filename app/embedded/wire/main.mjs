// Entry: node main.mjs '{"modules": ..., "database": ..., "socket": ..., "limits": {...}}'
// Serves the data directory on the socket until standard input ends or SIGTERM comes; without a
// socket it initialises the data directory and ends. Says {"ready": true} on standard output.
import { rmSync } from 'node:fs';

import { openBackend } from './backend.mjs';
import { createServer, LIMITS } from './server.mjs';

const EXIT_FAILED = 1;
// EX_SOFTWARE: the WebAssembly instance is gone and the parent should start another process.
const EXIT_BACKEND_DIED = 70;

const config = JSON.parse(process.argv[2]);

function end(error, code) {
  console.error(error?.stack ?? String(error));
  process.exit(code);
}

async function open() {
  const backend = await openBackend(config.modules, config.database);
  // A library that is only mentioned in the catalogue is not loaded: without LOAD, inserts into
  // hypertables fail after a restart.
  for (const sql of ["LOAD 'timescaledb'", 'CREATE EXTENSION IF NOT EXISTS timescaledb']) {
    const { error } = backend.run(sql);
    if (error) throw new Error(`${sql}: ${error.toString('utf8')}`);
  }
  return backend;
}

function serve(backend) {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    rmSync(config.socket, { force: true });
    try {
      server.stop();
    } catch (error) {
      end(error, EXIT_BACKEND_DIED);
    }
    process.exit(0);
  };
  const server = createServer(backend, { ...LIMITS, ...config.limits }, stop);
  process.on('SIGTERM', stop);
  // The terminal's Ctrl-C reaches the whole process group; the parent decides when to stop.
  process.on('SIGINT', () => {});
  process.on('uncaughtException', (error) => {
    try {
      server.crash();
    } finally {
      end(error, EXIT_BACKEND_DIED);
    }
  });
  rmSync(config.socket, { force: true });
  return server.listen(config.socket);
}

try {
  const backend = await open();
  if (config.socket) {
    await serve(backend);
    process.stdout.write('{"ready": true}\n');
  } else {
    backend.shutDown();
    process.exit(0);
  }
} catch (error) {
  end(error, EXIT_FAILED);
}
