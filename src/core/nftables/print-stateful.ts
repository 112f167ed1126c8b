import { flatText } from './canonical.ts';
import { type NftStatement, printStatementJson } from './typed.ts';

type Fields<Kind extends NftStatement['kind']> = Extract<NftStatement, { kind: Kind; form: 'fields' }>['fields'];

/** A statement that counts: of a rule, or carried by an element. As nft prints it. */
export function printStateful(statement: NftStatement): string {
  if (statement.form === 'bare') return statement.kind === 'last' ? 'last used never' : statement.kind;
  if (statement.form === 'fields') {
    switch (statement.kind) {
      case 'counter':
        return `counter packets ${statement.fields.packets ?? 0} bytes ${statement.fields.bytes ?? 0}`;
      case 'last':
        return statement.fields.used === undefined ? 'last used never' : `last used ${statement.fields.used}ms`;
      case 'limit':
        return `limit ${printLimit(statement.fields)}`;
      case 'quota':
        return printQuota(statement.fields);
      case 'ct count':
        return words('ct count', statement.fields.inv ? 'over' : undefined, String(statement.fields.val ?? ''));
      default:
    }
  }
  return flatText(printStatementJson(statement));
}

export function printLimit(fields: Fields<'limit'>): string {
  const { rate = 0, rate_unit, per = 'second', burst = 0, burst_unit, inv } = fields;
  const isBytes = rate_unit !== undefined && rate_unit !== 'packets';
  const over = inv ? 'over ' : '';
  if (isBytes) {
    return `rate ${over}${rate} ${rate_unit}/${per}${Number(burst) > 0 ? ` burst ${burst} ${burst_unit ?? 'bytes'}` : ''}`;
  }
  return `rate ${over}${rate}/${per}${Number(burst) > 0 && burst !== 5 ? ` burst ${burst} packets` : ''}`;
}

function printQuota({ val, val_unit, used, used_unit, inv }: Fields<'quota'>): string {
  const usedText = used === undefined || used === 0 ? undefined : `used ${used} ${used_unit ?? 'bytes'}`;
  return words('quota', inv ? 'over' : undefined, `${val ?? 0} ${val_unit ?? 'bytes'}`, usedText);
}

/** nft knows no escapes: a quotation mark cannot stand in its strings, and what would leave the line is escaped. */
export function quoted(text: string): string {
  return `"${text}"`;
}

/** Seconds as nft writes them: `1m30s`. */
export function printDuration(seconds: number): string {
  if (seconds <= 0) return '0s';
  let left = Math.trunc(seconds);
  let text = '';
  for (const [unit, length] of DURATION_UNITS) {
    const count = Math.trunc(left / length);
    if (count > 0) text += `${count}${unit}`;
    left -= count * length;
  }
  return text;
}

const DURATION_UNITS: readonly (readonly [string, number])[] = [
  ['d', 86400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

export function words(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' ');
}

export function listOf(flags: string | readonly string[] | undefined): readonly string[] {
  return flags === undefined ? [] : typeof flags === 'string' ? [flags] : flags;
}
