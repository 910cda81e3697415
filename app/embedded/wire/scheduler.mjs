// Who has the backend: first come, first served, and kept until the session's transaction is over.

export class Scheduler {
  #queue = [];
  #owner = null;
  #running = false;
  #idleTimer = null;
  #idleMs;
  #run;

  /** `run(session)` executes the session's unit and tells whether the session keeps the backend. */
  constructor({ run, idleMs }) {
    this.#run = run;
    this.#idleMs = idleMs;
  }

  get isFree() {
    return this.#owner === null && this.#queue.length === 0 && !this.#running;
  }

  isOwner(session) {
    return this.#owner === session;
  }

  /** The session has a unit to run. */
  submit(session) {
    if (this.#owner !== session) this.#queue.push({ session });
    this.#pump();
  }

  /** Run `task` when no session has the backend. */
  whenFree(task) {
    this.#queue.push({ task });
    this.#pump();
  }

  /** Take back a unit that has not begun; false if there is none. */
  withdraw(session) {
    const at = this.#queue.findIndex((each) => each.session === session);
    if (at >= 0) this.#queue.splice(at, 1);
    return at >= 0;
  }

  /** The session gives the backend up, its transaction being over. */
  release(session) {
    if (this.#owner !== session) return;
    clearTimeout(this.#idleTimer);
    this.#owner = null;
    this.#pump();
  }

  /** The client of the owner has shown life: its idle time starts again. */
  touch(session) {
    if (this.#owner === session) this.#startIdleTimer();
  }

  #pump() {
    if (this.#running) return;
    if (!this.#owner) this.#owner = this.#next();
    const session = this.#owner;
    if (!session?.unit) return;
    clearTimeout(this.#idleTimer);
    this.#running = true;
    let keeps = false;
    try {
      keeps = this.#run(session);
    } finally {
      this.#running = false;
    }
    if (this.#owner === session && !keeps) this.#owner = null;
    if (this.#owner) this.#startIdleTimer();
    session.advance();
    // Sockets get their turn between units, so that a busy session cannot keep others unread.
    if (this.#queue.length) setImmediate(() => this.#pump());
  }

  /** Run tasks up to the next session in line, and return that session. */
  #next() {
    for (;;) {
      const first = this.#queue.shift();
      if (!first) return null;
      if (first.session) return first.session;
      this.#running = true;
      try {
        first.task();
      } finally {
        this.#running = false;
      }
    }
  }

  #startIdleTimer() {
    clearTimeout(this.#idleTimer);
    const session = this.#owner;
    const limits = [this.#idleMs, session.idleMs].filter((each) => each > 0);
    if (!limits.length) return;
    this.#idleTimer = setTimeout(() => session.endIdle(), Math.min(...limits));
  }
}
