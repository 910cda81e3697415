// The prepared statements of one session, under names that no other session has.

export class PreparedStatements {
  #sessionId;
  #count = 0;
  // The client's names -> {internal, effects, copyFormat}.
  #byName = new Map();

  constructor(sessionId) {
    this.#sessionId = sessionId;
    /** What precedes a client's name in the backend's messages. */
    this.prefix = new RegExp(`"s${sessionId}\\.\\d+\\.`, 'g');
  }

  /** The statement to be made under a name; a new one unless the name is taken. */
  define(name) {
    let statement = this.#byName.get(name);
    if (!statement) {
      this.#count += 1;
      statement = this.#statement(name, this.#count);
      this.#byName.set(name, statement);
    }
    return statement;
  }

  /** The statement of a name; for one that was never made, a name that nothing has. */
  use(name) {
    return this.#byName.get(name) ?? this.#statement(name, 0);
  }

  /** The statement of a name that is about to be closed. */
  forget(name) {
    const statement = this.use(name);
    this.#byName.delete(name);
    return statement;
  }

  /** Give up all: the backend's names of them. */
  forgetAll() {
    const names = [...this.#byName.values()].map(({ internal }) => internal);
    this.#byName.clear();
    return names;
  }

  #statement(name, number) {
    const internal = `s${this.#sessionId}.${number}.${name}`;
    return { internal, effects: null, copyFormat: null };
  }
}
