// One client: turns its messages into units of work, and holds the state that is its own.
import { randomInt } from 'node:crypto';

import { CopyIn } from './copy.mjs';
import { mergeEffects, noEffects } from './effects.mjs';
import { PreparedStatements } from './prepared.mjs';
import {
  closeStatement, copyInResponse, cstring, failure, message, ProtocolViolation, query,
  ready, stringAt, SYNC,
} from './protocol.mjs';
import { readStatements } from './statements.mjs';

const STATEMENT = 0x53;
const BATCH_MESSAGES = 1_000;
const BATCH_BYTES = 1 << 20;
const NO_STATEMENT = 'tickgraph none';

export class Session {
  // What the scheduler and a turn read and write.
  unit = null;
  status = 'I';
  held = false;
  skipping = false;
  effects = null;
  settings = new Map();
  startupSettings = new Map();
  // Whether all settings are as they were at the start.
  pristine = true;
  // The reported settings as the client knows them.
  told = new Map();
  statementMs = 0;
  idleMs = 0;
  secret = randomInt(1, 2 ** 31 - 1);
  #server;
  #connection;
  #batch = [];
  #batchBytes = 0;
  #batchRuns = false;
  #copy = null;
  // Portals bound to a COPY FROM STDIN.
  #copyPortals = new Map();

  constructor(id, connection, server) {
    this.id = id;
    this.#connection = connection;
    this.#server = server;
    this.statements = new PreparedStatements(id);
  }

  get isolation() {
    return this.#server.isolation;
  }

  advance() {
    this.#connection.advance();
  }

  send(parts) {
    this.#connection.send(parts);
  }

  notify(notification) {
    this.#connection.notify(notification);
  }

  endIdle() {
    const text = 'terminating connection due to idle-in-transaction timeout';
    this.#connection.end(failure('FATAL', '25P03', text));
  }

  /** Give up the unit that waits for its turn. */
  cancel() {
    if (!this.unit || !this.#server.scheduler.withdraw(this)) return;
    const { endsWithSync } = this.unit;
    this.unit = null;
    const error = failure('ERROR', '57014', 'canceling statement due to user request');
    this.skipping = !endsWithSync;
    this.send(endsWithSync ? [error, ready('I')] : [error]);
    this.advance();
  }

  receive(bytes) {
    const type = String.fromCharCode(bytes[0]);
    if (type === 'X') this.#connection.end();
    else if (this.skipping) this.#skip(type, bytes);
    else if (this.#copy) this.#receiveCopy(type, bytes);
    else if (RECEIVERS[type]) RECEIVERS[type](this, bytes);
    else throw new ProtocolViolation(`invalid frontend message type ${bytes[0]}`);
  }

  query(bytes) {
    const [text] = stringAt(bytes, 5);
    const { sql, effects, copyFormat } = readStatements(text, this);
    this.#merge(effects);
    const request = sql === text ? bytes : query(sql);
    if (copyFormat !== null && !this.#batch.length && !this.held && this.status !== 'E') {
      this.#beginCopy(request, copyFormat);
    } else this.#submit([...this.#takeBatch(), { chunks: [request] }], { endsWithSync: true });
  }

  parse(bytes) {
    const [name, textAt] = stringAt(bytes, 5);
    const [text, restAt] = stringAt(bytes, textAt);
    const { sql, effects, copyFormat } = readStatements(text, this);
    const statement = this.statements.define(name);
    Object.assign(statement, { effects, copyFormat });
    // Unnamed for its client but not for the backend, which would lose it to the next session.
    if (!name) this.#add({ chunks: [closeStatement(statement.internal)], silent: true });
    const parts = [cstring(statement.internal), cstring(sql), bytes.subarray(restAt)];
    this.#add({ chunks: [message('P', ...parts)] });
  }

  bind(bytes) {
    const [portal, nameAt] = stringAt(bytes, 5);
    const [name, restAt] = stringAt(bytes, nameAt);
    const { internal, effects, copyFormat } = this.statements.use(name);
    this.#merge(effects);
    if (copyFormat === null) this.#copyPortals.delete(portal);
    else this.#copyPortals.set(portal, copyFormat);
    const parts = [bytes.subarray(5, nameAt), cstring(internal), bytes.subarray(restAt)];
    this.#batchRuns = true;
    this.#add({ chunks: [message('B', ...parts)] });
  }

  describeOrClose(type, bytes) {
    if (bytes[5] !== STATEMENT) return this.#add({ chunks: [bytes] });
    const [name] = stringAt(bytes, 6);
    const { internal } = this.statements[type === 'C' ? 'forget' : 'use'](name);
    return this.#add({ chunks: [message(type, bytes.subarray(5, 6), cstring(internal))] });
  }

  execute(bytes) {
    const [portal] = stringAt(bytes, 5);
    const copyFormat = this.#copyPortals.get(portal);
    this.#batchRuns = true;
    if (copyFormat === undefined) {
      this.#add({ chunks: [bytes] });
      return;
    }
    // What comes before runs first: only if it succeeds is there a COPY to send data for.
    const before = this.#takeBatch();
    if (!before.length) this.#beginCopy(bytes, copyFormat);
    else this.#submit(before, { then: () => this.#beginCopy(bytes, copyFormat) });
  }

  call(bytes) {
    this.#submit([...this.#takeBatch(), { chunks: [bytes] }], { endsWithSync: true });
  }

  flush(bytes) {
    if (!this.#batch.length) return;
    // asyncpg prepares with Parse, Describe, Flush and nothing after; a Sync of our own frees the
    // backend for others. Once a portal is bound that would end the client's transaction.
    const ownSync = !this.#batchRuns && !this.held;
    const end = { chunks: [ownSync ? SYNC : bytes] };
    this.#submit([...this.#takeBatch(), end], { ownSync });
  }

  sync(bytes) {
    this.#submit([...this.#takeBatch(), { chunks: [bytes] }], { endsWithSync: true });
  }

  #merge(effects) {
    if (!effects) return;
    this.effects ??= noEffects();
    mergeEffects(this.effects, effects);
  }

  #add(entry) {
    this.#batch.push(entry);
    this.#batchBytes += entry.chunks[0].length;
    // asyncpg's executemany sends all its rows before one Sync: run them as they come.
    const full = this.#batch.length >= BATCH_MESSAGES || this.#batchBytes >= BATCH_BYTES;
    if (full) this.#submit(this.#takeBatch());
  }

  #takeBatch() {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchRuns = false;
    return batch;
  }

  #submit(messages, options = {}) {
    this.unit = { messages, ownSync: false, endsWithSync: false, ...options };
    this.#server.scheduler.submit(this);
  }

  #skip(type, bytes) {
    if (type !== 'S') return;
    this.skipping = false;
    this.#takeBatch();
    if (this.held) this.#submit([{ chunks: [bytes] }], { endsWithSync: true });
    else this.send([ready(this.status)]);
  }

  #beginCopy(request, format) {
    this.#copy = new CopyIn(request, this.#server.copyBudget);
    this.send([copyInResponse(format)]);
  }

  #receiveCopy(type, bytes) {
    const chunks = this.#copy.receive(type, bytes);
    if (!chunks) return;
    const { endsWithSync } = this.#copy;
    this.#copy = null;
    this.#submit([{ chunks }], { endsWithSync });
  }

  /** Free what a connection that ended has left behind. */
  leave() {
    const { backend, isolation, scheduler } = this.#server;
    this.#copy?.drop();
    this.#copy = null;
    scheduler.withdraw(this);
    this.unit = null;
    const names = this.statements.forgetAll();
    if (scheduler.isOwner(this)) {
      // A Sync alone would commit what ran since the last one; after an error it does not.
      backend.exchange([message('B', cstring(''), cstring(NO_STATEMENT), Buffer.alloc(6))]);
      backend.exchange([SYNC]);
      backend.run('ROLLBACK');
      this.#cleanUp(names);
      scheduler.release(this);
    } else scheduler.whenFree(() => this.#cleanUp(names));
  }

  #cleanUp(statementNames) {
    this.#server.isolation.forget(this, statementNames);
    if (this.#server.sessionCount() === 0) this.#server.isolation.clear();
  }
}

// CopyData, CopyDone and CopyFail outside a COPY are what is left of one that failed.
const RECEIVERS = {
  Q: (session, bytes) => session.query(bytes),
  P: (session, bytes) => session.parse(bytes),
  B: (session, bytes) => session.bind(bytes),
  D: (session, bytes) => session.describeOrClose('D', bytes),
  C: (session, bytes) => session.describeOrClose('C', bytes),
  E: (session, bytes) => session.execute(bytes),
  F: (session, bytes) => session.call(bytes),
  H: (session, bytes) => session.flush(bytes),
  S: (session, bytes) => session.sync(bytes),
  d: () => {},
  c: () => {},
  f: () => {},
};
