import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ValidateFunction } from 'ajv';
import { repositoryRoot } from './repository-root.ts';

export type SchemaName = 'snapshot' | 'drift' | 'run-report';

const validators = new Map<SchemaName, ValidateFunction>();

/** What is wrong with a document by its published schema; empty when it is valid. */
export function schemaFaults(name: SchemaName, document: unknown): string[] {
  const validate = validators.get(name) ?? compile(name);
  validators.set(name, validate);
  if (validate(document)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${name}${instancePath}: ${message}`);
}

function compile(name: SchemaName): ValidateFunction {
  // Both are CommonJS whose types claim a default export of their own: required, they are what they are.
  const require = createRequire(import.meta.url);
  const { Ajv2020 } = require('ajv/dist/2020') as typeof import('ajv/dist/2020.js');
  const { default: addFormats } = require('ajv-formats') as { default: (ajv: unknown) => void };
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  addFormats(ajv);
  return ajv.compile(JSON.parse(readFileSync(join(repositoryRoot, 'docs', 'schemas', `${name}.schema.json`), 'utf8')));
}
