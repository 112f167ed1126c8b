/** `1 rule`, `2 rules`: for sentences about regular nouns. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
