import { OperationError } from './errors.ts';

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Errors: `STORE_NAME` for anything that could leave its area or mean two things. */
export function checkArtifactName(name: string): void {
  const ok = name.length <= 512 && name.split('/').every((segment) => SEGMENT.test(segment) && !segment.includes('..'));
  if (!ok) throw new OperationError('STORE_NAME', 'artifact', 'its name is not made of plain path segments');
}
