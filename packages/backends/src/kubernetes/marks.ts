import { isObject } from '../vault/json.ts';
import type { Content } from '../backend.ts';

/** Names of our annotations. Whatever has no {@link identityMark} is not ours, whatever its labels say. */
export const identityMark = 'strongroom/identity';
/** The writes that the keys of a scope's object are of. */
const writesMark = 'strongroom/writes';
export const intentMark = 'strongroom/intent';
export const shapeMark = 'strongroom/shape';
export const fingerprintMark = 'strongroom/fingerprint';

/** Characters of all annotations of an object together: ValidateAnnotationsSize of Kubernetes. */
const maxAnnotationBytes = 256 * 1024;

/** Which write left a value, and how to see that it is still that value. */
export interface WriteMark {
  readonly intentId: string;
  readonly shape: Content['shape'];
  readonly fingerprint: string;
}

const shapes = ['text', 'binary', 'fields'] as const;

/** `null` when the object doesn't say, or somebody edited it so that it can't be read. */
export function readWriteMark(annotations: Readonly<Record<string, string>>): WriteMark | null {
  const [intentId, shape, fingerprint] = [intentMark, shapeMark, fingerprintMark].map((name) =>
    Object.hasOwn(annotations, name) ? annotations[name] : undefined,
  );
  return markOf(intentId, shape, fingerprint);
}

export function formatWriteMark({ intentId, shape, fingerprint }: WriteMark): Record<string, string> {
  return { [intentMark]: intentId, [shapeMark]: shape, [fingerprintMark]: fingerprint };
}

/** By key. What can't be read is left out: then the key is read as somebody else wrote it. */
export function readWriteMarks(annotations: Readonly<Record<string, string>>): Map<string, WriteMark> {
  const parsed = parse(Object.hasOwn(annotations, writesMark) ? annotations[writesMark] : undefined);
  const marks = new Map<string, WriteMark>();
  if (!isObject(parsed)) return marks;
  for (const [key, value] of Object.entries(parsed)) {
    const mark = Array.isArray(value) ? markOf(...(value as readonly unknown[])) : null;
    if (mark !== null) marks.set(key, mark);
  }
  return marks;
}

export function formatWriteMarks(marks: ReadonlyMap<string, WriteMark>): Record<string, string> {
  const values = [...marks].map(
    ([key, { intentId, shape, fingerprint }]) => [key, [intentId, shape, fingerprint]] as const,
  );
  return { [writesMark]: JSON.stringify(Object.fromEntries(values)) };
}

export function areTooLarge(annotations: Readonly<Record<string, string>>): boolean {
  const bytes = Object.entries(annotations).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
  return bytes > maxAnnotationBytes;
}

function markOf(intentId?: unknown, shape?: unknown, fingerprint?: unknown): WriteMark | null {
  const known = shapes.find((each) => each === shape);
  if (typeof intentId !== 'string' || typeof fingerprint !== 'string' || known === undefined) return null;
  return { intentId, shape: known, fingerprint };
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
