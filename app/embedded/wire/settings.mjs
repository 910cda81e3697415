// Server settings by session: the backend has one set, so the difference is applied at each change
// of session.
import { quoteName, quoteText } from './sql.mjs';

// PGlite starts with command-line settings of its own (enable_seqscan off, debug messages), which
// RESET ALL returns to; this is what a session of an ordinary server would find.
export const BASELINE = new Map(Object.entries({
  client_min_messages: 'notice',
  enable_seqscan: 'on',
  exit_on_error: 'off',
  jit: 'off',
  log_min_messages: 'warning',
  role: 'none',
  search_path: '"$user", public',
  session_authorization: 'postgres',
  timezone: 'UTC',
}));
// Settings whose change a client is told about (GUC_REPORT).
const REPORTED = [
  'application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone',
  'standard_conforming_strings', 'default_transaction_read_only', 'is_superuser',
  'session_authorization',
];
const USER = 'session_authorization';

const setSql = ([name, value]) => {
  if (name === USER) return `SET SESSION AUTHORIZATION ${quoteName(value)};`;
  if (name === 'role') return value === 'none' ? 'SET ROLE NONE;' : `SET ROLE ${quoteName(value)};`;
  return `SELECT set_config(${quoteText(name)}, ${quoteText(value)}, false);`;
};
const resetSql = (name) => `RESET ${name.split('.').map(quoteName).join('.')};`;
// A role may change a setting that only the superuser may set back, so roles come first and last.
const isRole = (name) => name === USER || name === 'role';

// SET is several times faster than set_config, and asyncpg's pool asks for this at each release.
const BASELINE_SQL = [
  setSql([USER, BASELINE.get(USER)]),
  setSql(['role', BASELINE.get('role')]),
  'RESET ALL;',
  ...[...BASELINE].filter(([name]) => !isRole(name)).map(([name, value]) =>
    `SET ${name} TO ${name === 'search_path' ? value : quoteText(value)};`),
].join('');

export class Settings {
  #backend;
  #defaults;
  // What the backend has now beyond the baseline.
  #applied = new Map();

  constructor(backend) {
    this.#backend = backend;
    this.restoreBaseline();
    const all = backend.run('SELECT lower(name), current_setting(name) FROM pg_settings');
    this.#defaults = new Map([...all.rows, ...BASELINE]);
  }

  /** Return the backend to the baseline from wherever it is. */
  restoreBaseline() {
    this.#backend.run(BASELINE_SQL);
    this.#applied = new Map();
  }

  /** Give the backend the settings of a session. */
  apply(wanted) {
    const surplus = [...this.#applied.keys()].filter((name) => !wanted.has(name));
    const missing = [...wanted].filter(([name, value]) => this.#applied.get(name) !== value);
    if (!surplus.length && !missing.length) return;
    const user = this.#applied.get('role') ?? this.#applied.get(USER);
    const changes = [
      ...(user ? [setSql(['role', 'none']), setSql([USER, 'postgres'])] : []),
      ...surplus.filter((name) => !isRole(name)).map((name) =>
        BASELINE.has(name) ? setSql([name, BASELINE.get(name)]) : resetSql(name)),
      ...missing.filter(([name]) => !isRole(name)).map(setSql),
      ...[USER, 'role']
        .filter((name) => wanted.has(name))
        .map((name) => setSql([name, wanted.get(name)])),
    ];
    const { error } = this.#backend.run(changes.join(''));
    this.#applied = new Map(wanted);
    if (error) this.#applySeparately(wanted);
  }

  // One value that no longer holds (a dropped role, say) must not cost the session the others.
  #applySeparately(wanted) {
    this.restoreBaseline();
    const failed = new Set();
    for (const each of wanted) if (this.#backend.run(setSql(each)).error) failed.add(each[0]);
    this.#applied = new Map([...wanted].filter(([name]) => !failed.has(name)));
  }

  /** Check start-up settings one by one: the first error, or null. */
  firstError(wanted) {
    for (const each of wanted) {
      const { error } = this.#backend.run(setSql(each));
      if (error) {
        this.restoreBaseline();
        return error;
      }
      this.#applied.set(each[0], each[1]);
    }
    return null;
  }

  /** What the reported settings are now: all, or those of some names in lower case. */
  reported(among = null) {
    const names = REPORTED.filter((name) => !among || among.has(name.toLowerCase()));
    if (!names.length) return new Map();
    // SHOW takes no snapshot, so it may stand between BEGIN and SET TRANSACTION.
    const { rows } = this.#backend.run(names.map((name) => `SHOW ${name};`).join(''));
    return new Map(names.map((name, i) => [name, rows[i]?.[0] ?? '']));
  }

  /** Learn what a unit of `session` changed, now that it is out of its transaction. */
  capture(session, effects) {
    if (effects.resetAll) {
      session.settings = new Map(session.startupSettings);
      this.restoreBaseline();
    }
    session.pristine = effects.resetAll && !effects.readAll && effects.settings.size === 0;
    const names = new Set(effects.settings);
    for (const name of session.settings.keys()) if (effects.readAll) names.add(name);
    if (effects.readAll) for (const name of this.#changedNames()) names.add(name);
    const values = this.#valuesOf([...names]);
    for (const [name, value] of values) {
      const initial = session.startupSettings.get(name);
      const kept = effects.resets.has(name) ? initial : value;
      this.#applied.set(name, value);
      if (kept === undefined || kept === this.#defaults.get(name)) session.settings.delete(name);
      else session.settings.set(name, kept);
      if (value === (this.#defaults.get(name) ?? '')) this.#applied.delete(name);
    }
    this.apply(session.settings);
  }

  #changedNames() {
    const sql = `SELECT lower(name) FROM pg_settings WHERE source = 'session'`;
    return this.#backend.run(sql).rows.map(([name]) => name);
  }

  #valuesOf(names) {
    if (!names.length) return [];
    const list = names.map((name) =>
      name === USER ? 'session_user::text' : `current_setting(${quoteText(name)}, true)`);
    const row = this.#backend.run(`SELECT ${list.join(', ')}`).rows[0] ?? [];
    return names.map((name, i) => [name, row[i] ?? '']);
  }

  /** The timeouts that the front end keeps, since the backend has no clock of its own, in ms. */
  timeouts() {
    const { rows } = this.#backend.run(
      'SHOW statement_timeout; SHOW idle_in_transaction_session_timeout',
    );
    const [statementMs = 0, idleMs = 0] = rows.map(([text]) => durationMs(text));
    return { statementMs, idleMs };
  }
}

function durationMs(text) {
  const [, count, unit] = /^(\d+)(ms|s|min|h|d)?$/.exec(text) ?? [null, '0', 'ms'];
  return Number(count) * { ms: 1, s: 1e3, min: 60e3, h: 3600e3, d: 86400e3 }[unit ?? 'ms'];
}
