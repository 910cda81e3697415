// The PostgreSQL 3.0 wire format: cutting a byte stream into messages, and making messages.

export const PROTOCOL_3 = 3;
export const SSL_REQUEST = 80877103;
export const GSSENC_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;

// PostgreSQL's own limit (MAX_STARTUP_PACKET_LENGTH).
const MAX_STARTUP_BYTES = 10_000;

/** The client broke the protocol; its connection ends, nobody else's does. */
export class ProtocolViolation extends Error {
  constructor(message, code = '08P01') {
    super(message);
    this.code = code;
  }
}

export const cstring = (text) => Buffer.from(`${text}\0`, 'utf8');

export function message(type, ...parts) {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(4 + parts.reduce((sum, part) => sum + part.length, 0), 1);
  return Buffer.concat([head, ...parts]);
}

export const query = (sql) => message('Q', cstring(sql));
export const closeStatement = (name) => message('C', Buffer.from('S'), cstring(name));
export const copyFail = (reason) => message('f', cstring(reason));
export const ready = (status) => message('Z', Buffer.from(status, 'latin1'));
export const commandComplete = (tag) => message('C', cstring(tag));
export const parameterStatus = (name, value) => message('S', cstring(name), cstring(value));
export const SYNC = message('S');

/** CopyInResponse without column formats, which libpq and the drivers take from the overall one. */
export const copyInResponse = (format) => message('G', Buffer.from([format, 0, 0]));

export function failure(severity, code, text) {
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${text}`].map(cstring);
  return message('E', ...fields, Buffer.from([0]));
}

export const fatal = (code, text) => failure('FATAL', code, text);

/** Yield each message of a buffer that the backend wrote; they are always whole. */
export function* messagesOf(bytes) {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** The fields of an ErrorResponse or NoticeResponse by their one-letter names. */
export function fieldsOf(errorResponse) {
  const fields = {};
  for (let at = 5; errorResponse[at]; ) {
    const end = errorResponse.indexOf(0, at);
    fields[String.fromCharCode(errorResponse[at])] = errorResponse.toString('utf8', at + 1, end);
    at = end + 1;
  }
  return fields;
}

/** The text values of a DataRow, null for SQL NULL. */
export function valuesOf(dataRow) {
  const values = [];
  let at = 7;
  for (let left = dataRow.readInt16BE(5); left > 0; left -= 1) {
    const length = dataRow.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : dataRow.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return values;
}

/** Read the zero-terminated string at an offset: [text, offset behind it]. */
export function stringAt(bytes, offset) {
  const end = bytes.indexOf(0, offset);
  if (end < 0) throw new ProtocolViolation('invalid string in message');
  return [bytes.toString('utf8', offset, end), end + 1];
}

/** Cuts the bytes of one client into messages, joining chunks only once a message is complete. */
export class Framer {
  #chunks = [];
  #needed = 0;
  buffered = 0;

  constructor(maxMessageBytes) {
    this.maxMessageBytes = maxMessageBytes;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.buffered += chunk.length;
  }

  /** The next message with its type byte, or null until it is complete. */
  next() {
    return this.#take(5, (bytes) => {
      const length = bytes.readInt32BE(1);
      if (length < 4 || length > this.maxMessageBytes) {
        throw new ProtocolViolation('invalid message length');
      }
      return length + 1;
    });
  }

  /** The next start-up packet, which has no type byte, or null until it is complete. */
  nextStartup() {
    return this.#take(8, (bytes) => {
      const length = bytes.readInt32BE(0);
      if (length < 8 || length > MAX_STARTUP_BYTES) {
        throw new ProtocolViolation('invalid length of startup packet');
      }
      return length;
    });
  }

  #take(headBytes, lengthOf) {
    if (this.buffered < Math.max(headBytes, this.#needed)) return null;
    let bytes = this.#chunks[0];
    if (bytes.length < Math.max(headBytes, this.#needed)) bytes = this.#join();
    const length = lengthOf(bytes);
    if (this.buffered < length) {
      this.#needed = length;
      return null;
    }
    if (bytes.length < length) bytes = this.#join();
    this.#needed = 0;
    this.buffered -= length;
    if (bytes.length > length) this.#chunks[0] = bytes.subarray(length);
    else this.#chunks.shift();
    return bytes.subarray(0, length);
  }

  #join() {
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }
}
