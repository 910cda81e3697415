// What an SQL text does to the state of its session, and the text as the shared backend gets it.
//
// Sessions share one backend, so names of prepared statements are made unique, and statements that
// would reach into other sessions (UNLISTEN *, DISCARD ALL, ...) are replaced by ones that do not;
// the session then gets what it asked for by the `effects` returned here.
import { noEffects } from './effects.mjs';
import { quoteName, statementsOf } from './sql.mjs';

const WORTH_READING =
  /\b(?:(?:un)?listen|deallocate|prepare|execute|discard|close|(?:re)?set|set_config|(?:pg_)?temp|temporary|copy|hold|do|call)\b/i;
// Tokens take far more memory than their text; what is longer is data, not commands.
const MAX_READ_CHARS = 256 * 1024;
const NO_CHANNEL = 'UNLISTEN "tickgraph none"';

const textsOf = (tokens) => tokens.map((token) => token.text);
const isWord = (token, text) => token?.kind === 'word' && token.text === text;

/**
 * Read one SQL text of `session`: {sql, effects, copyFormat}. `effects` is null if nothing
 * hints at session state; `copyFormat` is 0 or 1 for a COPY FROM STDIN in text or binary, else
 * null.
 */
export function readStatements(sql, session) {
  if (!WORTH_READING.test(sql)) return { sql, effects: null, copyFormat: null };
  const effects = noEffects();
  const edits = [];
  const statements = statementsOf(sql.slice(0, MAX_READ_CHARS));
  if (sql.length > MAX_READ_CHARS) Object.assign(effects, { readAll: true, temporary: true });
  for (const tokens of statements) {
    const edit = (text, from = tokens[0].start, to = tokens.at(-1).end) =>
      edits.push({ from, to, text });
    readStatement(tokens, { effects, edit, session });
  }
  let edited = sql;
  for (const { from, to, text } of edits.reverse()) {
    edited = edited.slice(0, from) + text + edited.slice(to);
  }
  return { sql: edited, effects, copyFormat: copyFormatOf(statements[0] ?? []) };
}

function readStatement(tokens, context) {
  const head = tokens[0].kind === 'word' ? tokens[0].text : '';
  READERS[head]?.(tokens, context);
  const { effects } = context;
  tokens.forEach((token, i) => {
    if (token.kind !== 'word') return;
    if (['temp', 'temporary', 'pg_temp'].includes(token.text)) effects.temporary = true;
    else if (token.text === 'hold' && head === 'declare') effects.holdable = true;
    else if (token.text === 'set_config') {
      const [open, name] = tokens.slice(i + 1, i + 3);
      if (open?.text === '(' && name?.kind === 'string') {
        effects.settings.add(name.text.toLowerCase());
      } else effects.readAll = true;
    }
  });
}

const READERS = {
  set: readSet,
  reset: readReset,
  discard: readDiscard,
  deallocate: readDeallocate,
  // What a block or a procedure sets is known only to the backend.
  do: (_tokens, { effects }) => { effects.readAll = true; },
  call: (_tokens, { effects }) => { effects.readAll = true; },
  prepare: (tokens, context) => {
    if (!isWord(tokens[1], 'transaction')) renameStatement(tokens[1], context, 'define');
  },
  execute: (tokens, context) => renameStatement(tokens[1], context, 'use'),
  explain: renameExecuted,
  create: renameExecuted,
  listen: (tokens, { effects }) => {
    if (tokens[1]) effects.listen.push(tokens[1].text);
  },
  unlisten: (tokens, { effects, edit, session }) => {
    const all = tokens[1]?.text === '*';
    effects.unlisten.push(all ? '*' : (tokens[1]?.text ?? ''));
    const { notifications } = session.isolation;
    if (all || notifications.othersListen(session, tokens[1]?.text)) edit(NO_CHANNEL);
  },
  close: (tokens, { effects, edit, session }) => {
    if (!isWord(tokens[1], 'all') || !session.isolation.othersHoldCursors(session)) return;
    edit(NO_CHANNEL);
    effects.retag.set('UNLISTEN', 'CLOSE CURSOR ALL');
  },
};

function readSet(tokens, { effects, edit }) {
  let at = 1;
  const session = isWord(tokens[1], 'session') && !isWord(tokens[2], 'authorization');
  if (session || isWord(tokens[1], 'local')) at += 1;
  const name = textsOf(tokens.slice(at, at + 4));
  if (name[0] === 'session' && name[1] === 'authorization') {
    effects.settings.add('session_authorization');
    if (name[2] === 'default') edit('SET SESSION AUTHORIZATION postgres');
  } else if (name[0] === 'characteristics') effects.readAll = true;
  else if (name[0] === 'time' && name[1] === 'zone') effects.settings.add('timezone');
  else if (name[0] === 'names') effects.settings.add('client_encoding');
  else if (name[0] === 'schema') effects.settings.add('search_path');
  else if (['transaction', 'constraints', 'seed'].includes(name[0])) return;
  else {
    const full = settingName(tokens, at);
    const value = tokens[at + (full.includes('.') ? 4 : 2)];
    if (isWord(value, 'default')) effects.resets.add(full);
    effects.settings.add(full);
  }
}

function readReset(tokens, { effects, edit }) {
  const [, first, second] = textsOf(tokens);
  if (first === 'all') effects.resetAll = true;
  else if (first === 'session' && second === 'authorization') {
    // The single-user backend has no session user to go back to and stays what it was.
    edit('SET SESSION AUTHORIZATION postgres');
    effects.retag.set('SET', 'RESET');
    effects.settings.add('session_authorization');
  } else {
    const name = first === 'time' && second === 'zone' ? 'timezone' : settingName(tokens, 1);
    effects.settings.add(name);
    effects.resets.add(name);
  }
}

function settingName(tokens, at) {
  const dotted = tokens[at + 1]?.text === '.';
  return textsOf(tokens.slice(at, at + (dotted ? 3 : 1))).join('').toLowerCase();
}

function readDiscard(tokens, { effects, edit, session }) {
  const what = tokens[1]?.text;
  const all = what === 'all';
  if (!all && what !== 'temp' && what !== 'temporary') return;
  // Inside a transaction DISCARD ALL is an error, which the backend words best.
  if (all && session.status !== 'I') return;
  edit('DISCARD SEQUENCES');
  effects.retag.set('DISCARD SEQUENCES', all ? 'DISCARD ALL' : 'DISCARD TEMP');
  effects.discardTemporary = true;
  if (!all) return;
  effects.discardAll = true;
  effects.resetAll = true;
  effects.unlisten.push('*');
  effects.dropped.push(...session.statements.forgetAll());
}

function readDeallocate(tokens, { effects, edit, session }) {
  const name = isWord(tokens[1], 'prepare') && tokens[2] ? tokens[2] : tokens[1];
  if (!name) return;
  if (isWord(name, 'all')) {
    effects.dropped.push(...session.statements.forgetAll());
    effects.retag.set('DISCARD PLANS', 'DEALLOCATE ALL');
    edit('DISCARD PLANS');
  } else edit(quoteName(session.statements.forget(name.text).internal), name.start, name.end);
}

function renameStatement(name, { edit, session }, purpose) {
  if (name) edit(quoteName(session.statements[purpose](name.text).internal), name.start, name.end);
}

// EXPLAIN [...] EXECUTE name, CREATE TABLE ... AS EXECUTE name.
function renameExecuted(tokens, context) {
  const at = tokens.findIndex(
    (token, i) =>
      isWord(token, 'execute') && !isWord(tokens[i + 1], 'function') &&
      !isWord(tokens[i + 1], 'procedure') && !isWord(tokens[i - 1], 'grant'),
  );
  const follows = isWord(tokens[at - 1], 'as') || isWord(tokens[0], 'explain');
  if (at > 0 && follows) renameStatement(tokens[at + 1], context, 'use');
}

function copyFormatOf(tokens) {
  if (!isWord(tokens[0], 'copy')) return null;
  const at = tokens.findIndex(
    (token, i) => isWord(token, 'from') && isWord(tokens[i + 1], 'stdin'),
  );
  if (at < 0) return null;
  return tokens.slice(at).some((token) => token.text.toLowerCase() === 'binary') ? 1 : 0;
}
