/** A compiled ASP.NET route template. */
export interface Route {
  /** The parameters of a path (without the leading slash), decoded; null where it does not match. */
  match(path: string): Record<string, string> | null;
  /** Sorts before the routes it must be tried before: literal, constrained, plain parameter, catch-all. */
  precedence: string;
}

type Constraint = (value: string) => boolean;

const numeric =
  (isValid: (n: number) => boolean): Constraint =>
  (value) =>
    /^-?\d+$/.test(value) && isValid(Number(value));
const sized =
  (isValid: (length: number) => boolean): Constraint =>
  (value) =>
    isValid(value.length);

/** `name` or `name(arguments)`; an unknown one is an error of the app, as on the real host. */
function constraintOf(text: string): Constraint {
  const [, name = '', args = ''] = /^(\w+)(?:\((.*)\))?$/s.exec(text) ?? [];
  const [first = Number.NaN, second = first] = args.split(',').map(Number);
  switch (name.toLowerCase()) {
    case 'int':
      return numeric((n) => n >= -(2 ** 31) && n < 2 ** 31);
    case 'long':
      return numeric(() => true);
    case 'bool':
      return (value) => /^(true|false)$/i.test(value);
    case 'decimal':
    case 'double':
    case 'float':
      return (value) => /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value);
    case 'datetime':
      return (value) => !Number.isNaN(Date.parse(value));
    case 'guid':
      return (value) => /^[({]?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}[)}]?$/i.test(value);
    case 'alpha':
      return (value) => /^[a-z]*$/i.test(value);
    case 'required':
      return (value) => value !== '';
    case 'length':
      return sized((length) => length >= first && length <= second);
    case 'minlength':
      return sized((length) => length >= first);
    case 'maxlength':
      return sized((length) => length <= first);
    case 'min':
      return numeric((n) => n >= first);
    case 'max':
      return numeric((n) => n <= first);
    case 'range':
      return numeric((n) => n >= first && n <= second);
    case 'regex': {
      const pattern = new RegExp(args, 'i');
      return (value) => pattern.test(value);
    }
    default:
      throw new Error(`the route constraint "${text}" is not known`);
  }
}

interface Parameter {
  name: string;
  constraints: Constraint[];
  defaultValue: string | undefined;
}

/** Error: a template that is not one, or has an unknown constraint. */
export function compileRoute(template: string): Route {
  const parameters: Parameter[] = [];
  let pattern = '';
  let precedence = '';
  for (const segment of template.split('/')) {
    const { source, rank, isOptional, isCatchAll } = compileSegment(segment, parameters);
    precedence += rank;
    const slash = pattern === '' ? '' : '/';
    if (isCatchAll) pattern += `(?:${slash}(.*))?`;
    else pattern += isOptional ? `(?:${slash}${source})?` : `${slash}${source}`;
  }
  const expression = new RegExp(`^${pattern}$`, 'i');
  return {
    precedence,
    match(path) {
      const found = expression.exec(path);
      if (!found) return null;
      const values: [string, string][] = [];
      for (const [index, { name, constraints, defaultValue }] of parameters.entries()) {
        const raw = found[index + 1];
        const value = raw === undefined || raw === '' ? defaultValue : decode(raw);
        if (value === undefined) continue;
        if (value === null || !constraints.every((isMet) => isMet(value))) return null;
        values.push([name, value]);
      }
      return Object.fromEntries(values);
    },
  };
}

function compileSegment(
  segment: string,
  parameters: Parameter[],
): { source: string; rank: string; isOptional: boolean; isCatchAll: boolean } {
  let source = '';
  let rank = '1';
  let isOptional = false;
  let isCatchAll = false;
  for (const part of segment.split(/(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/)) {
    if (!part.startsWith('{')) {
      source += part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      continue;
    }
    const [, stars = '', name = '', constraints = '', defaultValue, question = ''] =
      /^\{(\*{0,2})(\w+)((?::[^=?]+(?:\([^)]*\))?)*)(?:=([^?]*))?(\?)?\}$/.exec(part) ?? [];
    if (!name) throw new Error(`"${part}" is not a route parameter`);
    const texts = constraints.split(/:(?![^(]*\))/).filter((text) => text !== '');
    parameters.push({ name, constraints: texts.map(constraintOf), defaultValue });
    isCatchAll ||= stars !== '';
    isOptional ||= question !== '' || defaultValue !== undefined;
    rank = isCatchAll ? '5' : texts.length > 0 ? '2' : '3';
    source += '([^/]+?)';
  }
  return { source, rank, isOptional, isCatchAll };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // Not a valid path: no route matches it.
  }
}
