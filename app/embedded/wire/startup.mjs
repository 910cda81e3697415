// The first messages of a connection: what may connect, and with which settings.
import {
  CANCEL_REQUEST, GSSENC_REQUEST, message, parameterStatus, PROTOCOL_3, ProtocolViolation, ready,
  SSL_REQUEST,
} from './protocol.mjs';

const DATABASES = ['postgres', 'template1'];
const USER = 'postgres';
const OPTION = /(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)/g;

/** Read a start-up packet: {kind: 'encryption' | 'cancel' | 'start', ...}. */
export function readStartup(packet) {
  const code = packet.readInt32BE(4);
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) return { kind: 'encryption' };
  if (code === CANCEL_REQUEST) {
    if (packet.length !== 16) throw new ProtocolViolation('invalid cancel request');
    return { kind: 'cancel', sessionId: packet.readInt32BE(8), secret: packet.readInt32BE(12) };
  }
  const [major, minor] = [code >>> 16, code & 0xffff];
  if (major !== PROTOCOL_3) {
    const text = `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.0`;
    throw new ProtocolViolation(text, '0A000');
  }
  const fields = packet.toString('utf8', 8).split('\0');
  if (packet.at(-1) !== 0 || fields.length < 2) {
    throw new ProtocolViolation('invalid startup packet layout: expected terminator as last byte');
  }
  const options = new Map();
  for (let i = 0; i + 1 < fields.length && fields[i]; i += 2) options.set(fields[i], fields[i + 1]);
  const unknown = [...options.keys()].filter((name) => name.startsWith('_pq_.'));
  return { kind: 'start', minor, unknown, settings: settingsOf(options) };
}

function settingsOf(options) {
  const { user, database = user, replication = 'false', options: flags = '', ...settings } =
    Object.fromEntries(options);
  if (!user) {
    throw new ProtocolViolation('no PostgreSQL user name specified in startup packet', '28000');
  }
  if (user !== USER) {
    const only = `the embedded database has one user, "${USER}"`;
    throw new ProtocolViolation(`role ${JSON.stringify(user)} cannot connect: ${only}`, '28000');
  }
  if (!DATABASES.includes(database)) {
    throw new ProtocolViolation(`database ${JSON.stringify(database)} does not exist`, '3D000');
  }
  if (!['false', 'off', 'no', '0'].includes(replication)) {
    throw new ProtocolViolation('the embedded database does not replicate', '0A000');
  }
  const wanted = new Map();
  for (const [, name, value] of flags.matchAll(OPTION)) {
    wanted.set(name.replaceAll('-', '_').toLowerCase(), value.replace(/\\(.)/g, '$1'));
  }
  for (const [name, value] of Object.entries(settings)) {
    if (!name.startsWith('_pq_.')) wanted.set(name.toLowerCase(), value);
  }
  return wanted;
}

/** Whether the settings can be taken as they are, without asking the backend. */
export function areHarmless(settings) {
  return [...settings].every(([name, value]) =>
    (name === 'application_name' && /^[\x20-\x7e]{0,63}$/.test(value)) ||
    (name === 'client_encoding' && /^'?utf-?8'?$/i.test(value)));
}

/** Everything from AuthenticationOk to the first ReadyForQuery. */
export function welcome({ minor, unknown, sessionId, secret, parameters }) {
  const key = Buffer.alloc(8);
  key.writeInt32BE(sessionId, 0);
  key.writeInt32BE(secret, 4);
  const statuses = [...parameters].map(([name, value]) => parameterStatus(name, value));
  const negotiation = minor > 0 || unknown.length ? [negotiateVersion(unknown)] : [];
  const authenticated = message('R', Buffer.alloc(4));
  return [...negotiation, authenticated, ...statuses, message('K', key), ready('I')];
}

function negotiateVersion(unknown) {
  const head = Buffer.alloc(8);
  head.writeInt32BE(PROTOCOL_3 << 16, 0);
  head.writeInt32BE(unknown.length, 4);
  return message('v', head, ...unknown.map((name) => Buffer.from(`${name}\0`)));
}
