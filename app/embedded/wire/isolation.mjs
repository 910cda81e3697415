// Keeps the sessions of the one backend apart: settings, temporary relations, channels, cursors.
import { closeStatement, SYNC } from './protocol.mjs';
import { quoteName } from './sql.mjs';
import { touchesSettings } from './effects.mjs';
import { Notifications } from './notifications.mjs';
import { Settings } from './settings.mjs';
import { TemporaryRelations } from './temporary.mjs';

export class Isolation {
  #backend;
  #current = null;
  #temporary;
  // Names of WITH HOLD cursors by their session.
  #cursors = new Map();

  constructor(backend) {
    this.#backend = backend;
    this.settings = new Settings(backend);
    this.notifications = new Notifications(backend);
    this.#temporary = new TemporaryRelations(backend);
  }

  /** Make the backend the session's own; only outside a transaction. */
  enter(session) {
    if (this.#current !== session) {
      const moved = [this.#current, session].filter((each) => each && this.#temporary.has(each));
      // Renaming is the superuser's, whatever role either session has taken.
      if (moved.length) this.settings.apply(new Map());
      if (this.#current && this.#temporary.has(this.#current)) this.#temporary.hide(this.#current);
      if (session && this.#temporary.has(session)) this.#temporary.show(session);
      this.#current = session;
    }
    this.settings.apply(session?.settings ?? new Map());
  }

  /** Settle what the session's finished transaction did. */
  settle(session, effects) {
    if (touchesSettings(effects)) this.settings.capture(session, effects);
    this.#closeStatements(effects.dropped);
    this.notifications.capture(session, effects);
    if (effects.holdable) this.#captureCursors(session);
    if (effects.discardAll) {
      this.#closeCursors(session);
      this.#backend.run('SELECT pg_advisory_unlock_all()');
    }
    if (effects.discardTemporary) this.#temporary.drop(session);
    else if (effects.temporary || this.#temporary.has(session)) this.#temporary.capture(session);
  }

  /** Remove every trace of a session that has gone; only outside a transaction. */
  forget(session, statementNames) {
    this.enter(this.#temporary.has(session) ? session : null);
    this.settings.apply(new Map());
    this.#closeStatements(statementNames);
    this.notifications.forget(session);
    this.#closeCursors(session);
    this.#temporary.drop(session);
    if (this.#current === session) this.#current = null;
  }

  /** Start afresh once nobody is left: what slipped past the bookkeeping ends here. */
  clear() {
    this.#current = null;
    this.#backend.run('DISCARD ALL');
    this.settings.restoreBaseline();
  }

  othersHoldCursors(session) {
    return [...this.#cursors.keys()].some((owner) => owner !== session);
  }

  #closeStatements(names) {
    for (const name of names) this.#backend.exchange([closeStatement(name)]);
    if (names.length) this.#backend.exchange([SYNC]);
  }

  #captureCursors(session) {
    const { rows } = this.#backend.run('SELECT name FROM pg_cursors WHERE is_holdable');
    const others = [...this.#cursors].filter(([owner]) => owner !== session);
    const foreign = new Set(others.flatMap(([, names]) => names));
    const own = rows.map(([name]) => name).filter((name) => !foreign.has(name));
    if (own.length) this.#cursors.set(session, own);
  }

  #closeCursors(session) {
    for (const name of this.#cursors.get(session) ?? []) {
      this.#backend.run(`CLOSE ${quoteName(name)}`);
    }
    this.#cursors.delete(session);
  }
}
