import { OperationError } from './errors.ts';

// A session id, and so a name, may begin with _ or -.
const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** Errors: `STORE_NAME` for anything that could leave its area or mean two things. */
export function checkArtifactName(name: string): void {
  const ok = name.length <= 512 && name.split('/').every((segment) => SEGMENT.test(segment) && !segment.includes('..'));
  if (!ok) throw new OperationError('STORE_NAME', 'artifact', 'its name is not made of plain path segments');
}
