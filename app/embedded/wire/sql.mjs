// A light reading of SQL text: its statements and their tokens, enough to see what touches session
// state. It never has to be right about expressions, only about quoting and where statements end.

const SPACE = /\s/;
const WORD_START = /[A-Za-z_\u0080-\uffff]/;
const WORD = /[\w$\u0080-\uffff]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const MAX_TOKENS = 4_000;

/** End of a quoted text that opens at `at`, where a doubled quote stands for itself. */
function quotedEnd(sql, at, quote, backslashes) {
  for (let i = at + 1; i < sql.length; i += 1) {
    if (backslashes && sql[i] === '\\') i += 1;
    else if (sql[i] === quote) {
      if (sql[i + 1] !== quote) return i + 1;
      i += 1;
    }
  }
  return sql.length;
}

function blockCommentEnd(sql, at) {
  let depth = 1;
  let i = at + 2;
  for (; i < sql.length && depth > 0; i += 1) {
    if (sql.startsWith('/*', i)) [depth, i] = [depth + 1, i + 1];
    else if (sql.startsWith('*/', i)) [depth, i] = [depth - 1, i + 1];
  }
  return i;
}

function lineEnd(sql, at) {
  const end = sql.indexOf('\n', at);
  return end < 0 ? sql.length : end + 1;
}

/** One token at `at`: {kind, text, start, end}; kinds: word, name, string, sign. */
function tokenAt(sql, at) {
  const char = sql[at];
  if (char === '"') {
    const end = quotedEnd(sql, at, '"', false);
    return { kind: 'name', text: sql.slice(at + 1, end - 1).replaceAll('""', '"'), start: at, end };
  }
  if (char === "'") {
    const escapes = /[eE]/.test(sql[at - 1] ?? '') && !/\w/.test(sql[at - 2] ?? '');
    const end = quotedEnd(sql, at, "'", escapes);
    const text = sql.slice(at + 1, end - 1).replaceAll("''", "'");
    return { kind: 'string', text, start: at, end };
  }
  if (char === '$') {
    DOLLAR_TAG.lastIndex = at;
    const tag = DOLLAR_TAG.exec(sql)?.[0];
    if (tag) {
      const close = sql.indexOf(tag, at + tag.length);
      const end = close < 0 ? sql.length : close + tag.length;
      return { kind: 'string', text: sql.slice(at + tag.length, close), start: at, end };
    }
  }
  if (WORD_START.test(char)) {
    WORD.lastIndex = at;
    const text = WORD.exec(sql)[0];
    return { kind: 'word', text: text.toLowerCase(), start: at, end: at + text.length };
  }
  return { kind: 'sign', text: char, start: at, end: at + 1 };
}

/** The statements of an SQL text, each a list of tokens; comments and blanks are left out. */
export function statementsOf(sql) {
  const statements = [];
  let tokens = [];
  for (let at = 0; at < sql.length; ) {
    if (SPACE.test(sql[at])) at += 1;
    else if (sql.startsWith('--', at)) at = lineEnd(sql, at);
    else if (sql.startsWith('/*', at)) at = blockCommentEnd(sql, at);
    else {
      const token = tokenAt(sql, at);
      at = token.end;
      if (token.kind === 'sign' && token.text === ';') {
        if (tokens.length) statements.push(tokens);
        tokens = [];
      } else if (tokens.length < MAX_TOKENS) tokens.push(token);
    }
  }
  if (tokens.length) statements.push(tokens);
  return statements;
}

export const quoteName = (name) => `"${name.replaceAll('"', '""')}"`;

/** A string literal that is right whatever standard_conforming_strings says. */
export const quoteText = (text) =>
  `${text.includes('\\') ? ' E' : ''}'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
