import type { z } from 'zod';
import { OperationError } from '../core/errors.ts';
import { describeIssues } from './tool-input.ts';

/** Arguments as a schema has them. Errors: `AGENT_ARGUMENTS`, naming each that is wrong. */
export function parseArguments<Schema extends z.ZodType>(schema: Schema, args: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(args);
  if (parsed.success) return parsed.data;
  throw new OperationError('AGENT_ARGUMENTS', 'arguments', describeIssues(parsed.error), {
    nextStep: 'the tool’s input schema says what it takes',
  });
}
