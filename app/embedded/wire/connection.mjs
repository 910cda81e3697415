// One socket: its bytes in and out, each bounded, and the session once it has started.
import { BackendDied } from './backend.mjs';
import { fatal, fieldsOf, Framer, ProtocolViolation } from './protocol.mjs';
import { Session } from './session.mjs';
import { areHarmless, readStartup, welcome } from './startup.mjs';

const PIECE_BYTES = 1 << 20;
const LINGER_MS = 5_000;
const NO_ENCRYPTION = Buffer.from('N');

export class Connection {
  #socket;
  #server;
  #framer;
  #session = null;
  #starting = false;
  #advancing = false;
  #ended = false;
  #outbox = [];
  #writing = false;
  #unreadBytes = 0;
  #startupTimer;
  unsentBytes = 0;
  lastProgress = Date.now();

  constructor(socket, server) {
    this.#socket = socket;
    this.#server = server;
    this.#framer = new Framer(server.limits.messageBytes);
    this.#startupTimer = setTimeout(() => this.destroy(), server.limits.startupMs);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#leave());
  }

  /** Handle what has arrived, until a unit waits for the backend or the client must read first. */
  advance() {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#mayProceed()) {
        const next = this.#session ? this.#framer.next() : this.#framer.nextStartup();
        if (!next) break;
        if (this.#session) this.#session.receive(next);
        else this.#start(next);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#advancing = false;
    }
    this.#countUnread();
    const ahead = this.#framer.buffered > this.#server.limits.aheadBytes && !this.#mayProceed();
    if (ahead) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  send(parts) {
    for (const part of parts) {
      if (this.#ended || !part.length) continue;
      this.#outbox.push(part);
      this.unsentBytes += part.length;
      this.#server.unsent.bytes += part.length;
    }
    // Together the answers that nobody reads stay bounded, whoever's was the last.
    if (this.#server.unsent.bytes > this.#server.limits.unsentBytes) this.destroy();
    else this.#flush();
  }

  /** Pass on a notification; a listener that does not read them is closed. */
  notify(notification) {
    if (this.unsentBytes > this.#server.limits.notificationBytes) this.destroy();
    else this.send([notification]);
  }

  /** Close after what is yet to be sent, and a last message. */
  end(lastMessage) {
    if (this.#ended) return;
    if (lastMessage) this.send([lastMessage]);
    this.#leave();
    this.#flush();
    setTimeout(() => this.destroy(), LINGER_MS).unref();
  }

  destroy() {
    this.#leave();
    this.#forgetUnsent();
    this.#socket.destroy();
  }

  /** Close if the client has read nothing for too long. */
  closeIfStalled(now) {
    if (this.unsentBytes && now - this.lastProgress > this.#server.limits.stallMs) this.destroy();
  }

  cancel(secret) {
    if (this.#session?.secret === secret) this.#session.cancel();
  }

  #countUnread() {
    const buffered = this.#ended ? 0 : this.#framer.buffered;
    this.#server.unread.bytes += buffered - this.#unreadBytes;
    this.#unreadBytes = buffered;
    if (this.#server.unread.bytes > this.#server.limits.unreadBytes) {
      this.end(fatal('53200', 'clients have sent more than the embedded database can keep'));
    }
  }

  get sessionId() {
    return this.#session?.id;
  }

  #mayProceed() {
    const busy = this.#starting || this.#session?.unit;
    return !this.#ended && !busy && this.unsentBytes <= PIECE_BYTES;
  }

  #receive(chunk) {
    if (this.#ended) return;
    this.#framer.push(chunk);
    if (this.#session) this.#server.scheduler.touch(this.#session);
    this.advance();
  }

  #start(packet) {
    const startup = readStartup(packet);
    if (startup.kind === 'encryption') this.send([NO_ENCRYPTION]);
    else if (startup.kind === 'cancel') {
      this.#server.cancel(startup.sessionId, startup.secret);
      this.end();
    } else if (this.#server.sessionCount() >= this.#server.limits.sessions) {
      throw new ProtocolViolation('sorry, too many clients already', '53300');
    } else if (areHarmless(startup.settings)) {
      startup.settings.delete('client_encoding');
      this.#admit(startup, this.#server.parameters);
    } else {
      this.#starting = true;
      this.#server.scheduler.whenFree(() => this.#checkAndAdmit(startup));
    }
  }

  #checkAndAdmit(startup) {
    this.#starting = false;
    if (this.#ended) return;
    const { isolation } = this.#server;
    isolation.enter(null);
    const error = isolation.settings.firstError(startup.settings);
    // The severity is FATAL here: there is no session to go on with.
    if (error) this.end(fatalOf(error));
    else {
      this.#admit(startup, isolation.settings.reported());
      Object.assign(this.#session, isolation.settings.timeouts());
      setImmediate(() => this.advance());
    }
  }

  #admit({ minor, unknown, settings }, parameters) {
    clearTimeout(this.#startupTimer);
    const session = new Session(this.#server.nextSessionId(), this, this.#server);
    session.startupSettings = settings;
    session.settings = new Map(settings);
    this.#session = session;
    session.told = new Map([...this.#server.parameters, ...parameters]);
    if (settings.has('application_name')) {
      session.told.set('application_name', settings.get('application_name'));
    }
    const { id: sessionId, secret } = session;
    this.send(welcome({ minor, unknown, sessionId, secret, parameters: session.told }));
  }

  #fail(error) {
    if (error instanceof BackendDied) throw error;
    if (!(error instanceof ProtocolViolation)) console.error('session failed:', error);
    const known = error instanceof ProtocolViolation;
    this.end(fatal(known ? error.code : 'XX000', known ? error.message : 'internal error'));
  }

  #leave() {
    if (this.#ended) return;
    this.#ended = true;
    this.#countUnread();
    clearTimeout(this.#startupTimer);
    this.#server.connections.delete(this);
    this.#session?.leave();
  }

  // In pieces, one at a time, so that progress can be seen and little is copied ahead.
  #flush() {
    if (this.#writing || this.#socket.destroyed) return;
    const piece = this.#nextPiece();
    if (!piece) {
      if (this.#ended) this.#socket.end();
      return;
    }
    this.#writing = true;
    if (this.unsentBytes === piece.length) this.lastProgress = Date.now();
    this.#socket.write(piece, () => {
      this.#writing = false;
      this.lastProgress = Date.now();
      const sent = Math.min(piece.length, this.unsentBytes);
      this.unsentBytes -= sent;
      this.#server.unsent.bytes -= sent;
      this.#flush();
      if (this.unsentBytes <= PIECE_BYTES) this.advance();
    });
  }

  #nextPiece() {
    const parts = [];
    let bytes = 0;
    let taken = 0;
    for (; taken < this.#outbox.length && bytes < PIECE_BYTES; taken += 1) {
      const part = this.#outbox[taken];
      const fitting = part.subarray(0, PIECE_BYTES - bytes);
      parts.push(fitting);
      bytes += fitting.length;
      if (fitting.length < part.length) {
        this.#outbox[taken] = part.subarray(fitting.length);
        break;
      }
    }
    this.#outbox.splice(0, taken);
    if (!parts.length) return null;
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  #forgetUnsent() {
    this.#server.unsent.bytes -= this.unsentBytes;
    this.unsentBytes = 0;
    this.#outbox = [];
  }
}

function fatalOf(error) {
  const { C: code, M: text } = fieldsOf(error);
  return fatal(code, text);
}
