import { CommandError } from './errors.ts';
import type { Input } from './read-input.ts';

/** What an input is that is not what the command reads. */
interface Likeness {
  readonly pattern: RegExp;
  readonly what: string;
  readonly nextStep: string;
  /** Nothing that any tool printed looks so: known without trying to read it. */
  readonly isCertain?: true;
  /** Not said to the command that reads it. */
  readonly ownTool?: string;
}

const HEAD_CHARACTERS = 4096;
const IS_EMPTY = 'is empty';

// The first that fits is named, so what is unmistakable stands first.
const LIKENESSES: readonly Likeness[] = [
  { pattern: /^\s*$/, what: IS_EMPTY, nextStep: '' },
  {
    pattern: /^\x1f\ufffd8b/,
    what: 'looks like gzip',
    nextStep: 'unpack it: gunzip -c FILE | COMMAND -',
    isCertain: true,
  },
  {
    pattern: /\0/,
    what: 'looks like a binary file',
    nextStep: 'give the text that the tool printed',
    isCertain: true,
  },
  {
    pattern: /^\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype|html|head|body|\w+[\s>])/i,
    what: 'looks like an HTML or XML page',
    nextStep: 'was a login or error page saved in place of the file?',
    isCertain: true,
  },
  {
    pattern: /^\s*\{\s*"nftables"\s*:/,
    what: 'looks like nft JSON',
    nextStep: 'use nftables-parser or nftables-diff',
    ownTool: 'nft --json list ruleset',
  },
  {
    pattern: /^\s*table\s+(?:\w+\s+)?[^\s{]+\s*\{/m,
    what: "looks like nft's own text",
    nextStep: 'list it as JSON: nft --json list ruleset',
  },
  {
    pattern: /^Chain \S+ \((?:policy|\d+ references)/m,
    what: 'looks like iptables -L, which leaves out half of each rule',
    nextStep: 'use iptables-save',
  },
  {
    pattern: /^create \S+ (?:hash|bitmap|list):\S+/m,
    what: 'looks like ipset save',
    nextStep: 'give it to iptables-diff as --baseline-ipset or --current-ipset',
    ownTool: 'ipset save',
  },
  {
    pattern: /^Name: \S+\r?\nType: (?:hash|bitmap|list):/m,
    what: 'looks like ipset list',
    nextStep: 'use ipset save',
  },
  {
    pattern: /^(?:\*\w+|:\S+ (?:ACCEPT|DROP|-)|-[APN] \S+)/m,
    what: 'looks like iptables-save',
    nextStep: 'use iptables-parser or iptables-diff',
    ownTool: 'iptables-save',
  },
  {
    pattern:
      /permission denied|must be root|command not found|no such file or directory|operation not permitted|not recognized/i,
    what: "looks like a tool's error message",
    nextStep: 'run the tool as root, and keep standard error apart from the file',
  },
];

/** Errors: CommandError for an input that is unmistakably of another kind. */
export function refuseOthers(input: Input, wanted: string): void {
  const head = input.text.slice(0, HEAD_CHARACTERS);
  const likeness = LIKENESSES.find(({ pattern, isCertain }) => isCertain === true && pattern.test(head));
  if (likeness !== undefined) throw describe(input, likeness, wanted, '');
}

/** The error for an input in which nothing was recognised: it says what the input looks like. */
export function unrecognised(input: Input, wanted: string, emptyHint: string): CommandError {
  const head = input.text.slice(0, HEAD_CHARACTERS);
  const likeness = LIKENESSES.find(({ pattern, ownTool }) => ownTool !== wanted && pattern.test(head));
  if (likeness !== undefined) return describe(input, likeness, wanted, emptyHint);
  return new CommandError(`${input.name} holds nothing that ${wanted} would say`, {
    nextStep: `give the output of ${wanted}, or a document of these commands`,
  });
}

function describe(input: Input, { what, nextStep }: Likeness, wanted: string, emptyHint: string): CommandError {
  return new CommandError(`${input.name} ${what}, not the output of ${wanted}`, {
    nextStep: what === IS_EMPTY ? emptyHint : nextStep,
  });
}
