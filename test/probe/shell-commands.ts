/** What a POSIX shell script would run and where it would write, read out of its text. */
export interface ShellReading {
  /** Every simple command, its words as written (quotes kept), those inside substitutions included. */
  readonly commands: readonly (readonly string[])[];
  /** Every redirection as written, without spaces: `2>/dev/null`, `>&3`. */
  readonly redirections: readonly string[];
  /** Names of the functions the script defines. */
  readonly functions: readonly string[];
  /** Constructs this reader refuses: here-documents, backquotes, background jobs, what it cannot parse. */
  readonly refused: readonly string[];
}

type Token = { readonly kind: 'word' | 'operator' | 'redirection' | 'newline'; readonly text: string };

/** A command can follow each of these, or nothing. */
const KEYWORDS: ReadonlySet<string> = new Set([
  'if',
  'then',
  'elif',
  'else',
  'fi',
  'while',
  'until',
  'do',
  'done',
  '!',
  '{',
  '}',
]);
const ASSIGNMENT = /^[A-Za-z_]\w*=/;

/**
 * Reads the part of the shell's grammar that a small script uses: simple commands, lists, pipelines, if, for, while,
 * case, functions, groups, substitutions. What it does not know it refuses, so that nothing passes unread.
 */
export function readShell(text: string): ShellReading {
  const commands: string[][] = [];
  const redirections: string[] = [];
  const functions: string[] = [];
  const refused: string[] = [];
  read(text);
  return { commands, redirections, functions, refused };

  function read(script: string): void {
    const tokens = tokenize(script, refused, read);
    let words: string[] = [];
    let openCases = 0;
    let isAtPattern = false;
    const flush = (): void => {
      while (words.length > 0 && ASSIGNMENT.test(words[0] ?? '')) words.shift();
      if (words.length > 0) commands.push(words);
      words = [];
    };
    const passTo = (from: number, text: string): number => {
      let to = from;
      while (to < tokens.length && tokens[to]?.text !== text) to += 1;
      if (to === tokens.length) refused.push(`no ${text}`);
      return to;
    };
    for (let at = 0; at < tokens.length; at += 1) {
      const { kind, text } = tokens[at] as Token;
      const isFirst = kind === 'word' && words.length === 0;
      if (isAtPattern && kind !== 'newline') {
        isAtPattern = false;
        if (text === 'esac') openCases -= 1;
        else at = passTo(at, ')');
      } else if (kind === 'redirection') redirections.push(text);
      else if (kind === 'newline') flush();
      else if (text === '(' && words.length === 1 && tokens[at + 1]?.text === ')') {
        functions.push(words[0] ?? '');
        words = [];
        at += 1;
      } else if (kind === 'operator') {
        flush();
        if (text === '&') refused.push('a background job');
        if (text === ';;') isAtPattern = true;
      } else if (isFirst && text === 'case') {
        at = passTo(at, 'in');
        openCases += 1;
        isAtPattern = true;
      } else if (isFirst && text === 'for') at = passTo(at, 'do');
      else if (isFirst && text === 'esac') openCases -= 1;
      else if (!isFirst || !KEYWORDS.has(text)) words.push(text);
    }
    flush();
    if (openCases !== 0) refused.push('a case without an end');
  }
}

const OPERATORS = ['&&', '||', ';;', ';', '&', '|', '(', ')'] as const;

function tokenize(script: string, refused: string[], readSubstitution: (text: string) => void): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < script.length) {
    const rest = script.slice(at, at + 64);
    const character = script[at] ?? '';
    if (character === '\n') {
      tokens.push({ kind: 'newline', text: '\n' });
      at += 1;
    } else if (character === ' ' || character === '\t') at += 1;
    else if (rest.startsWith('\\\n')) at += 2;
    else if (character === '#') {
      const end = script.indexOf('\n', at);
      at = end === -1 ? script.length : end;
    } else {
      const redirection = /^(\d*)(<<-?|<>|>>|>\||>&|<&|<|>)/.exec(rest);
      const operator = OPERATORS.find((candidate) => rest.startsWith(candidate));
      if (redirection !== null) {
        if (redirection[2]?.startsWith('<<')) refused.push('a here-document');
        at += redirection[0].length;
        while (script[at] === ' ' || script[at] === '\t') at += 1;
        const target = word();
        tokens.push({ kind: 'redirection', text: `${redirection[0]}${target}` });
      } else if (operator !== undefined) {
        tokens.push({ kind: 'operator', text: operator });
        at += operator.length;
      } else tokens.push({ kind: 'word', text: word() });
    }
  }
  return tokens;

  /** One word as written, from `at`; leaves `at` behind it, and hands the commands inside it to `readSubstitution`. */
  function word(): string {
    const start = at;
    while (at < script.length && !/[\s;&|<>()]/.test(script[at] ?? '')) piece(false);
    if (at === start) at += 1;
    return script.slice(start, at);
  }

  function piece(isQuoted: boolean): void {
    const character = script[at] ?? '';
    if (character === '\\') at += 2;
    else if (character === "'" && !isQuoted) {
      const end = script.indexOf("'", at + 1);
      if (end === -1) refused.push('an open quote');
      at = end === -1 ? script.length : end + 1;
    } else if (character === '"' && !isQuoted) {
      at += 1;
      while (at < script.length && script[at] !== '"') piece(true);
      if (at >= script.length) refused.push('an open quote');
      at += 1;
    } else if (character === '`') {
      refused.push('a backquote');
      at += 1;
    } else if (script.startsWith('$((', at)) {
      const inner = balanced(at + 3, ')');
      for (const [, substitution = ''] of inner.matchAll(/\$\(((?:[^()]|\([^()]*\))*)\)/g))
        readSubstitution(substitution);
      at += 3 + inner.length + 2;
    } else if (script.startsWith('$(', at)) {
      const inner = balanced(at + 2, ')');
      readSubstitution(inner);
      at += 2 + inner.length + 1;
    } else if (character === '$' && script[at + 1] === '{') {
      const inner = balanced(at + 2, '}');
      if (inner.includes('$(') || inner.includes('`')) refused.push('a substitution inside a parameter');
      at += 2 + inner.length + 1;
    } else at += 1;
  }

  /** The text from `from` to the closing character that belongs to it; quotes are respected. */
  function balanced(from: number, close: ')' | '}'): string {
    const open = close === ')' ? '(' : '{';
    let depth = 1;
    let quote = '';
    for (let end = from; end < script.length; end += 1) {
      const character = script[end] ?? '';
      if (character === '\\' && quote !== "'") end += 1;
      else if (quote !== '') {
        if (character === quote) quote = '';
      } else if (character === "'" || character === '"') quote = character;
      else if (character === open) depth += 1;
      else if (character === close) depth -= 1;
      if (depth === 0) return script.slice(from, end);
    }
    refused.push('an open bracket');
    return script.slice(from);
  }
}
