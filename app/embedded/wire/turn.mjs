// One turn of a session at the backend: run its unit, answer its client, settle what it changed.
import { touchesSettings } from './effects.mjs';
import {
  commandComplete, failure, fieldsOf, messagesOf, parameterStatus, ready, stringAt,
} from './protocol.mjs';

const COMMAND_COMPLETE = 0x43;
const COPY_IN_RESPONSE = 0x47;
const ERROR_RESPONSE = 0x45;
const NOTIFICATION = 0x41;
const READY = 0x5a;

/** Run the unit of a session; true if the session must keep the backend afterwards. */
export function runUnit(session, { backend, isolation, watchdog, limits }) {
  const { unit } = session;
  if (session.status === 'I' && !session.held) isolation.enter(session);
  const answer = new Answer(session, isolation.notifications);
  let leftBytes = limits.resultBytes;
  for (const { chunks, silent } of unit.messages) {
    if (session.statementMs) watchdog.arm(session.statementMs);
    const bytes = backend.exchange(chunks, leftBytes);
    const timedOut = session.statementMs > 0 && watchdog.disarm();
    if (backend.overflowed) answer.addOverflow(bytes, limits.resultBytes);
    else if (!silent) answer.add(bytes, timedOut);
    leftBytes = Math.max(0, leftBytes - bytes.length);
  }
  session.status = answer.status ?? session.status;
  session.held = answer.status === null;
  session.skipping = answer.failed && (session.held || unit.ownSync);
  settle(session, answer, isolation);
  if (answer.status && !unit.ownSync) answer.parts.push(ready(answer.status));
  session.unit = null;
  session.send(answer.parts);
  if (!answer.failed) unit.then?.();
  return session.held || session.status !== 'I';
}

function settle(session, answer, isolation) {
  const { effects } = session;
  if (!effects || session.held) return;
  const wasPristine = session.pristine;
  if (session.status === 'I') {
    session.effects = null;
    isolation.settle(session, effects);
  }
  if (session.status === 'E' || !touchesSettings(effects)) return;
  if (wasPristine && session.pristine && session.status === 'I') return;
  Object.assign(session, isolation.settings.timeouts());
  // The backend does not report changes of its own accord, as a server would here.
  const all = effects.readAll || effects.resetAll;
  for (const [name, value] of isolation.settings.reported(all ? null : effects.settings)) {
    if (session.told.get(name) !== value) answer.parts.push(parameterStatus(name, value));
    session.told.set(name, value);
  }
}

/** Collects what the client is to get of the backend's output, as few slices as possible. */
class Answer {
  parts = [];
  status = null;
  failed = false;
  #session;
  #notifications;

  constructor(session, notifications) {
    this.#session = session;
    this.#notifications = notifications;
  }

  add(bytes, timedOut) {
    let from = 0;
    let at = 0;
    const replace = (replacement, end) => {
      if (at > from) this.parts.push(bytes.subarray(from, at));
      if (replacement) this.parts.push(replacement);
      from = end;
    };
    for (const each of messagesOf(bytes)) {
      const end = at + each.length;
      const replacement = this.#replacementOf(each, timedOut);
      if (replacement !== each) replace(replacement, end);
      at = end;
    }
    replace(null, at);
  }

  /** An answer over the limit: its rows are gone, an error takes their place. */
  addOverflow(tail, maxBytes) {
    const mebibytes = Math.floor(maxBytes / 2 ** 20);
    const text = `result is larger than ${mebibytes} MiB; read it in parts, with a cursor or LIMIT`;
    this.failed = true;
    this.parts.push(failure('ERROR', '54000', text));
    if (tail[0] === READY) this.status = String.fromCharCode(tail[5]);
  }

  /** The message itself, another in its place, or null to leave it out. */
  #replacementOf(each, timedOut) {
    switch (each[0]) {
      case READY:
        this.status = String.fromCharCode(each[5]);
        return null;
      case NOTIFICATION:
        return this.#notifications.deliver(each, this.#session) ? each : null;
      case COPY_IN_RESPONSE:
        // The front end has sent its own, before it took the data.
        return null;
      case COMMAND_COMPLETE: {
        const tag = this.#session.effects?.retag.get(stringAt(each, 5)[0]);
        return tag ? commandComplete(tag) : each;
      }
      case ERROR_RESPONSE:
        this.failed = true;
        return this.#errorOf(each, timedOut);
      default:
        return each;
    }
  }

  #errorOf(each, timedOut) {
    const { C: code, M: text } = fieldsOf(each);
    if (timedOut && code === '57014') {
      return failure('ERROR', code, 'canceling statement due to statement timeout');
    }
    const clean = text.replaceAll(this.#session.statements.prefix, '"');
    return clean === text ? each : failure('ERROR', code, clean);
  }
}
