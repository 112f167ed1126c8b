/** Subcommands and what each does, for help and documents. */
export const SUBCOMMAND_LINES: readonly (readonly [name: string, what: string])[] = [
  ['list', 'the sessions of an audit directory, newest first'],
  ['show', 'one session: what changed in it, or what its snapshot holds'],
  ['verify', 'baselines against their SHA-256 companions; exit 2 when one fails'],
  ['doctor', 'checks what a run needs (login, role, VM, tools, storage), says the next command'],
  ['selftest', 'every part on this machine, without root, cloud or network'],
  ['mcp', 'an MCP server for AI agents, over standard input and output'],
];
