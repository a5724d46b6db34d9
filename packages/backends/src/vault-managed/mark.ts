import { isObject, own } from '../vault/json.ts';

/**
 * Our mark on a secret, in its custom metadata. Only what has it is changed or deleted; `strongroom store adopt` sets it on
 * what others wrote.
 */
export const ownerMark = { name: 'strongroom-managed', value: 'true' } as const;

export function hasOwnerMark(customMetadata: Readonly<Record<string, string>>): boolean {
  return Object.hasOwn(customMetadata, ownerMark.name) && customMetadata[ownerMark.name] === ownerMark.value;
}

/**
 * Says, in the field `_strongroom` beside the value, which write it is of. It is a field, not custom metadata, because only
 * fields are written in one step with the value and under its check-and-set: metadata of its own request could name a write
 * that never happened.
 */
export interface WriteMark {
  readonly intentId: string;
  /** The version of the secret that the write made: in another one the mark was only carried over. */
  readonly version: number;
  /** `MOUNT/PATH`: a copy elsewhere isn't ours. */
  readonly place: string;
  /** `deleted`: what is left until the secret itself is gone. */
  readonly shape: 'text' | 'binary' | 'fields' | 'deleted';
  /** Names of the entry's fields; other fields are somebody else's. */
  readonly fields?: readonly string[];
}

export function formatWriteMark(mark: WriteMark): string {
  return JSON.stringify(mark);
}

/** `null` for what isn't a mark of this place: then the secret is read as others wrote it. */
export function readWriteMark(text: unknown, place: string): WriteMark | null {
  const parsed = parse(text);
  const [intentId, version, shape, fields] = ['intentId', 'version', 'shape', 'fields'].map((name) =>
    own(parsed, name),
  );
  const isRead = typeof intentId === 'string' && typeof version === 'number' && own(parsed, 'place') === place;
  if (!isRead || !isShape(shape)) return null;
  if (shape !== 'fields') return { intentId, version, place, shape };
  const isNames = Array.isArray(fields) && fields.every((name) => typeof name === 'string');
  return isNames ? { intentId, version, place, shape, fields: fields } : null;
}

function isShape(value: unknown): value is WriteMark['shape'] {
  return value === 'text' || value === 'binary' || value === 'fields' || value === 'deleted';
}

function parse(text: unknown): unknown {
  if (typeof text !== 'string') return null;
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
