// LISTEN and NOTIFY by session: the backend listens to whatever any session listens to.
import { stringAt } from './protocol.mjs';
import { quoteName } from './sql.mjs';

export class Notifications {
  #backend;
  // channel -> Set(session)
  #listeners = new Map();

  constructor(backend) {
    this.#backend = backend;
  }

  /** Whether a session other than this one listens to the channel. */
  othersListen(session, channel) {
    const listeners = this.#listeners.get(channel);
    return Boolean(listeners && (listeners.size > 1 || !listeners.has(session)));
  }

  /** Hand a NotificationResponse to all who listen but `current`; true if `current` does too. */
  deliver(notification, current) {
    const [channel] = stringAt(notification, 9);
    const listeners = this.#listeners.get(channel) ?? new Set();
    for (const session of listeners) {
      if (session !== current) session.notify(Buffer.from(notification));
    }
    return listeners.has(current);
  }

  /** Learn what a session's LISTEN and UNLISTEN came to, now that its transaction is over. */
  capture(session, effects) {
    for (const channel of effects.unlisten) {
      if (channel === '*') this.forget(session);
      else this.#remove(session, channel);
    }
    if (!effects.listen.length) return;
    // A LISTEN that was rolled back is not there.
    const { rows } = this.#backend.run('SELECT pg_listening_channels()');
    const heard = new Set(rows.map(([channel]) => channel));
    for (const channel of effects.listen.filter((each) => heard.has(each))) {
      this.#listeners.set(channel, (this.#listeners.get(channel) ?? new Set()).add(session));
    }
  }

  forget(session) {
    for (const channel of [...this.#listeners.keys()]) this.#remove(session, channel);
  }

  #remove(session, channel) {
    const listeners = this.#listeners.get(channel);
    if (!listeners?.delete(session) || listeners.size) return;
    this.#listeners.delete(channel);
    this.#backend.run(`UNLISTEN ${quoteName(channel)}`);
  }
}
