// Temporary tables by session. The backend has one temporary schema for all, so while another
// session runs, a session's temporary relations carry names that nobody uses.
import { quoteName } from './sql.mjs';

const hiddenName = (oid) => `tickgraph hidden ${oid}`;
const DROP_WORDS = { r: 'TABLE', p: 'TABLE', v: 'VIEW', S: 'SEQUENCE' };

export class TemporaryRelations {
  #backend;
  // session -> Map(oid -> {name, kind})
  #owned = new Map();

  constructor(backend) {
    this.#backend = backend;
  }

  has(session) {
    return this.#owned.has(session);
  }

  /** Learn which relations the session has made or dropped. */
  capture(session) {
    const { rows } = this.#backend.run(
      `SELECT oid, relname, relkind FROM pg_class
       WHERE relnamespace = pg_my_temp_schema() AND relkind IN ('r', 'p', 'v', 'S', 'i', 'I')
       ORDER BY oid`,
    );
    const others = [...this.#owned].filter(([owner]) => owner !== session);
    const foreign = new Set(others.flatMap(([, relations]) => [...relations.keys()]));
    const own = rows.filter(([oid]) => !foreign.has(oid));
    if (!own.length) this.#owned.delete(session);
    else this.#owned.set(session, new Map(own.map(([oid, name, kind]) => [oid, { name, kind }])));
  }

  hide(session) {
    this.#rename(session, ([oid, { name }]) => [name, hiddenName(oid)]);
  }

  show(session) {
    this.#rename(session, ([oid, { name }]) => [hiddenName(oid), name]);
  }

  /** Drop what the session owns; its relations must be shown. */
  drop(session) {
    const relations = this.#owned.get(session);
    if (!relations) return;
    this.#owned.delete(session);
    if (!this.#owned.size) {
      this.#backend.run('DISCARD TEMP');
      return;
    }
    for (const { name, kind } of relations.values()) {
      if (!DROP_WORDS[kind]) continue;
      this.#backend.run(`DROP ${DROP_WORDS[kind]} IF EXISTS pg_temp.${quoteName(name)} CASCADE`);
    }
  }

  #rename(session, namesOf) {
    const statements = [...(this.#owned.get(session) ?? [])].map(namesOf).map(
      ([from, to]) =>
        `ALTER TABLE IF EXISTS pg_temp.${quoteName(from)} RENAME TO ${quoteName(to)};`,
    );
    // One by one where the batch fails: what can be renamed must not stay in another's way.
    if (statements.length && this.#backend.run(statements.join('')).error) {
      for (const statement of statements) this.#backend.run(statement);
    }
  }
}
