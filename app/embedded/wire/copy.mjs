// A COPY FROM STDIN as its data arrives. The backend cannot wait for a client, so the data is kept
// until it is complete and then run in one go.
import { copyFail, ProtocolViolation } from './protocol.mjs';

const QUERY = 0x51;

export class CopyIn {
  #chunks;
  #bytes = 0;
  #tooLarge = false;
  #budget;

  /** `request` is the Query or Execute that starts it; `budget` is shared by all sessions. */
  constructor(request, budget) {
    this.#chunks = [request];
    this.#budget = budget;
  }

  /** A simple query answers ReadyForQuery after its COPY, an Execute waits for a Sync. */
  get endsWithSync() {
    return this.#chunks[0][0] === QUERY;
  }

  /** Take a message: the chunks to run once the data is complete, else null. */
  receive(type, bytes) {
    if (type === 'd') this.#keep(bytes);
    else if (type === 'c' || type === 'f') return this.#finish(bytes);
    else if (type !== 'H' && type !== 'S') {
      const code = bytes[0].toString(16).padStart(2, '0');
      throw new ProtocolViolation(`unexpected message type 0x${code} during COPY from stdin`);
    }
    return null;
  }

  /** Give the memory back. */
  drop() {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
    this.#chunks = this.#chunks.slice(0, 1);
  }

  #keep(bytes) {
    if (!this.#tooLarge && !this.#budget.take(bytes.length)) {
      this.#tooLarge = true;
      this.drop();
    }
    if (this.#tooLarge) return;
    this.#bytes += bytes.length;
    this.#chunks.push(bytes);
  }

  #finish(bytes) {
    const mebibytes = Math.floor(this.#budget.total / 2 ** 20);
    const end = this.#tooLarge ? copyFail(`more than ${mebibytes} MiB; send it in parts`) : bytes;
    const chunks = [...this.#chunks, end];
    this.drop();
    return chunks;
  }
}
