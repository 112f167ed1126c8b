import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { DEPTH_MAX, onlyKey } from './canonical.ts';
import { isExactInteger } from './exact-integers.ts';
import {
  ELEMENT_STATEMENTS,
  EXPRESSIONS,
  type ExpressionShape,
  type FieldShape,
  STATEMENTS,
  type StatementShape,
} from './vocabulary.ts';

type FieldValue<Shape> = Shape extends 'text'
  ? string
  : Shape extends 'number'
    ? number
    : Shape extends 'integer'
      ? number | string
      : Shape extends 'flag'
        ? boolean
        : Shape extends 'flags'
          ? string | readonly string[]
          : Shape extends 'scalar'
            ? string | number | boolean
            : Shape extends 'expression'
              ? NftExpression
              : NftStatement | readonly NftStatement[];

type Fields<Shapes> = { readonly [Name in keyof Shapes]?: FieldValue<Shapes[Name]> };

type StatementTable = typeof STATEMENTS;
type ExpressionTable = typeof EXPRESSIONS;

type FormsOf<Kind extends keyof StatementTable> =
  | (StatementTable[Kind] extends { bare: true } ? { readonly kind: Kind; readonly form: 'bare' } : never)
  | (StatementTable[Kind] extends { name: true }
      ? { readonly kind: Kind; readonly form: 'name'; readonly name: string }
      : never)
  | (StatementTable[Kind] extends { expression: true }
      ? { readonly kind: Kind; readonly form: 'expression'; readonly expression: NftExpression }
      : never)
  | (StatementTable[Kind] extends { fields: infer Shapes }
      ? { readonly kind: Kind; readonly form: 'fields'; readonly fields: Fields<Shapes> }
      : never);

/** One statement, typed from the table in `vocabulary.ts`; what the table does not know is `opaque`, verbatim. */
export type NftStatement =
  | { [Kind in keyof StatementTable]: FormsOf<Kind> }[keyof StatementTable]
  | { readonly kind: 'opaque'; readonly form: 'opaque'; readonly json: Json };

type ExpressionOf<Kind extends keyof ExpressionTable> = ExpressionTable[Kind] extends { operands: true }
  ? { readonly kind: Kind; readonly operands: readonly NftExpression[] }
  : ExpressionTable[Kind] extends { members: true }
    ? { readonly kind: Kind; readonly members: readonly NftExpression[] | string }
    : ExpressionTable[Kind] extends { fields: infer Shapes }
      ? { readonly kind: Kind; readonly fields: Fields<Shapes>; readonly statements: readonly NftStatement[] }
      : never;

/** One expression. A `list` is a list of flags, or a map's `[key, data]`. `*` is the catch-all element. */
export type NftExpression =
  | { [Kind in keyof ExpressionTable]: ExpressionOf<Kind> }[keyof ExpressionTable]
  | { readonly kind: 'value'; readonly value: string | number | boolean }
  | { readonly kind: 'set_reference'; readonly name: string }
  | { readonly kind: 'list'; readonly items: readonly NftExpression[] }
  | { readonly kind: 'opaque'; readonly json: Json };

const STATEMENT_SHAPES = shapesOf<StatementShape>(STATEMENTS);
const EXPRESSION_SHAPES = shapesOf<ExpressionShape>(EXPRESSIONS);

/** The table, with fields that have no prototype: a member called `constructor` is not in it. */
function shapesOf<Shape extends { readonly fields?: Readonly<Record<string, FieldShape>> }>(
  table: Readonly<Record<string, Shape>>,
): ReadonlyMap<string, Shape> {
  return new Map(
    Object.entries(table).map(([kind, shape]) => {
      const { fields } = shape;
      return [kind, fields === undefined ? shape : { ...shape, fields: Object.assign(Object.create(null), fields) }];
    }),
  );
}

/** The typed form of one statement of `rule.expr`. Never throws. */
export function typeStatement(json: Json): NftStatement {
  const kind = onlyKey(json);
  const shape = kind === null ? undefined : STATEMENT_SHAPES.get(kind);
  if (kind === null || shape === undefined || !isKnownStatement(json)) return { kind: 'opaque', form: 'opaque', json };
  const body = (json as JsonObject)[kind] as Json;
  // The check above has compared the body with the table, which is what the types are derived from.
  const typed = (form: object): NftStatement => ({ kind, ...form }) as unknown as NftStatement;
  if (body === null) return typed({ form: 'bare' });
  if (typeof body === 'string' && shape.name) return typed({ form: 'name', name: body });
  if (shape.fields !== undefined && hasFields(body, shape.fields, 1)) {
    return typed({ form: 'fields', fields: typeFields(body as JsonObject, shape.fields) });
  }
  return typed({ form: 'expression', expression: typeExpression(body) });
}

/** The typed form of an expression or an element. Never throws. */
export function typeExpression(json: Json): NftExpression {
  if (!isKnownExpression(json, 0)) return { kind: 'opaque', json };
  return build(json);
}

function build(json: Json): NftExpression {
  if (json === null) return { kind: 'opaque', json };
  if (typeof json !== 'object') {
    if (typeof json === 'string' && json.length > 1 && json[0] === '@')
      return { kind: 'set_reference', name: json.slice(1) };
    return { kind: 'value', value: json };
  }
  if (isJsonArray(json)) return { kind: 'list', items: json.map(build) };
  const kind = onlyKey(json) ?? '';
  const body = json[kind] as Json;
  const shape = EXPRESSION_SHAPES.get(kind);
  const typed = (form: object): NftExpression => ({ kind, ...form }) as unknown as NftExpression;
  if (shape?.operands) return typed({ operands: (body as readonly Json[]).map(build) });
  if (shape?.members) {
    return typed({ members: typeof body === 'string' ? body : (isJsonArray(body) ? body : [body]).map(build) });
  }
  const object = body === null ? {} : (body as JsonObject);
  const statements =
    kind === 'elem'
      ? Object.keys(object)
          .filter((key) => ELEMENT_STATEMENTS.has(key))
          .map((key) => typeStatement({ [key]: object[key] as Json }))
      : [];
  return typed({ fields: typeFields(object, shape?.fields ?? {}), statements });
}

function typeFields(body: JsonObject, shapes: Readonly<Record<string, FieldShape>>): object {
  const fields: Record<string, unknown> = {};
  // In the listing's order, so that printing gives the same text.
  for (const key of Object.keys(body)) {
    if (shapes[key] === undefined) continue;
    const value = body[key] as Json;
    if (shapes[key] === 'expression') fields[key] = build(value);
    else if (shapes[key] === 'statements')
      fields[key] = isJsonArray(value) ? value.map(typeStatement) : typeStatement(value);
    else fields[key] = value;
  }
  return fields;
}

/** Whether the table knows this statement, whole: its kind, its form, every field, and every expression within. */
export function isKnownStatement(json: Json, depth = 0): boolean {
  const kind = onlyKey(json);
  const shape = kind === null ? undefined : STATEMENT_SHAPES.get(kind);
  if (kind === null || shape === undefined || depth > DEPTH_MAX) return false;
  const body = (json as JsonObject)[kind] as Json;
  if (body === null) return shape.bare === true;
  if (typeof body === 'string' && shape.name) return true;
  if (shape.fields !== undefined && hasFields(body, shape.fields, depth + 1)) return true;
  return shape.expression === true && typeof body === 'object' && isKnownExpression(body, depth + 1);
}

function isKnownExpression(json: Json, depth: number): boolean {
  if (json === null || depth > DEPTH_MAX) return false;
  if (typeof json !== 'object') return true;
  if (isJsonArray(json)) return json.every((item) => isKnownExpression(item, depth + 1));
  const kind = onlyKey(json);
  const shape = kind === null ? undefined : EXPRESSION_SHAPES.get(kind);
  if (kind === null || shape === undefined) return false;
  const body = json[kind] as Json;
  if (shape.operands) return isJsonArray(body) && body.every((item) => isKnownExpression(item, depth + 1));
  if (shape.members) return isKnownExpression(body, depth + 1);
  if (body === null) return Object.keys(shape.fields ?? {}).length === 0;
  return hasFields(body, shape.fields ?? {}, depth + 1, kind === 'elem');
}

function hasFields(
  body: Json,
  shapes: Readonly<Record<string, FieldShape>>,
  depth: number,
  isElement = false,
): boolean {
  if (!isJsonObject(body)) return false;
  for (const key in body) {
    const value = body[key] as Json;
    const shape = shapes[key];
    if (shape === undefined) {
      if (isElement && ELEMENT_STATEMENTS.has(key) && isKnownStatement({ [key]: value }, depth)) continue;
      return false;
    }
    if (!hasShape(value, shape, depth)) return false;
  }
  return true;
}

function hasShape(value: Json, shape: FieldShape, depth: number): boolean {
  switch (shape) {
    case 'text':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number';
    case 'integer':
      return typeof value === 'number' || isExactInteger(value);
    case 'flag':
      return typeof value === 'boolean';
    case 'scalar':
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    case 'flags':
      return (
        typeof value === 'string' ||
        (Array.isArray(value) && (value as readonly Json[]).every((flag) => typeof flag === 'string'))
      );
    case 'expression':
      return isKnownExpression(value, depth);
    case 'statements':
      return Array.isArray(value)
        ? (value as readonly Json[]).every((one) => isKnownStatement(one, depth + 1))
        : isKnownStatement(value, depth + 1);
  }
}

/** The JSON that `typeStatement` read, member for member. */
export function printStatementJson(statement: NftStatement): Json {
  switch (statement.form) {
    case 'opaque':
      return statement.json;
    case 'bare':
      return { [statement.kind]: null };
    case 'name':
      return { [statement.kind]: statement.name };
    case 'expression':
      return { [statement.kind]: printExpressionJson(statement.expression) };
    case 'fields':
      return { [statement.kind]: printFields(statement.fields, STATEMENT_SHAPES.get(statement.kind)?.fields ?? {}) };
  }
}

/** The JSON that `typeExpression` read, member for member. */
export function printExpressionJson(expression: NftExpression): Json {
  switch (expression.kind) {
    case 'opaque':
      return expression.json;
    case 'value':
      return expression.value;
    case 'set_reference':
      return `@${expression.name}`;
    case 'list':
      return expression.items.map(printExpressionJson);
    default:
  }
  if ('operands' in expression) return { [expression.kind]: expression.operands.map(printExpressionJson) };
  if ('members' in expression) {
    const { members } = expression;
    return { [expression.kind]: typeof members === 'string' ? members : members.map(printExpressionJson) };
  }
  const fields = printFields(expression.fields, EXPRESSION_SHAPES.get(expression.kind)?.fields ?? {});
  const statements = Object.assign({}, ...expression.statements.map(printStatementJson)) as JsonObject;
  const isVerdictBare = VERDICTS_BARE.has(expression.kind);
  return { [expression.kind]: isVerdictBare ? null : { ...fields, ...statements } };
}

const VERDICTS_BARE: ReadonlySet<string> = new Set(['accept', 'drop', 'continue', 'return']);

function printFields(fields: object, shapes: Readonly<Record<string, FieldShape>>): JsonObject {
  const json: Record<string, Json> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (shapes[key] === 'expression') json[key] = printExpressionJson(value as NftExpression);
    else if (shapes[key] === 'statements') {
      json[key] = Array.isArray(value)
        ? (value as readonly NftStatement[]).map(printStatementJson)
        : printStatementJson(value as NftStatement);
    } else json[key] = value as Json;
  }
  return json;
}
