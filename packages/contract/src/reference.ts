import { StrongroomError } from './errors.ts';
import { integrationNamePattern, reservedSourceName } from './name-patterns.ts';
import { isPathSegment } from './path-segments.ts';

/**
 * A reference names a secret without saying where it is stored.
 *
 *     secret://SCOPE/SOURCE/KEY[#FIELD]
 *
 * - SCOPE: `domain` (the domain of the configuration that holds it), `global`, or `admin` (platform surfaces only).
 *   There is no way to write another domain's name.
 * - SOURCE: `managed`, or the name of an integration.
 * - KEY: one path segment or more, each percent-encoded (RFC 3986 §2.1). Keys that are made here have one of the key grammar;
 *   what another program left in a managed store is named as it is there.
 * - FIELD: one field of a multi-field value, percent-encoded.
 *
 * {@link formatReference} writes the canonical form: everything outside RFC 3986's unreserved characters is
 * percent-encoded in upper-case hex. `parseReference(formatReference(r))` is `r`, and two references are the same
 * exactly when their canonical forms are equal.
 */
export interface Reference {
  readonly scope: ReferenceScope;
  /** `managed`, or an integration's name. */
  readonly source: string;
  /** Decoded. For an integration, segments joined with `/`. */
  readonly key: string;
  readonly field?: string;
}

export const referenceScopes = ['admin', 'global', 'domain'] as const;
export type ReferenceScope = (typeof referenceScopes)[number];

/** Characters of the canonical form; longer text is refused before it is parsed. */
export const maxReferenceLength = 2048;
/** Characters of a decoded field name. */
export const maxFieldLength = 253;

const scheme = 'secret://';
const integrationName = new RegExp(integrationNamePattern);

/**
 * Parses the URI form. Accepts any valid percent-encoding and returns decoded parts.
 * @throws StrongroomError `reference_malformed`, saying which part is wrong. The text itself is not repeated: somebody
 * may have pasted a value where a reference belongs.
 */
export function parseReference(text: string): Reference {
  if (text.length > maxReferenceLength) throw malformed(`it is longer than ${maxReferenceLength} characters`);
  if (!text.startsWith(scheme)) throw malformed(`it does not start with ${scheme}`);
  const rest = text.slice(scheme.length);
  const hash = rest.indexOf('#');
  const path = hash === -1 ? rest : rest.slice(0, hash);
  if (path.includes('?')) throw malformed('a question mark must be written as %3F');
  const [scope, source, ...segments] = path.split('/');
  if (scope === undefined || source === undefined || segments.length === 0)
    throw malformed('it needs a scope, a source and a key');
  const field = hash === -1 ? undefined : decode(rest.slice(hash + 1), 'field');
  const key = segments.map((segment) => decode(segment, 'key'));
  return checkReference({ scope: scope as ReferenceScope, source: decode(source, 'source'), key, field });
}

/** The object form of a reference, as configurations hold it. */
export interface ReferenceObject {
  readonly scope: ReferenceScope;
  readonly source?: string;
  readonly key: string;
  readonly field?: string;
}

/** @throws StrongroomError `reference_malformed` */
export function referenceFromObject(object: ReferenceObject): Reference {
  const source = object.source ?? reservedSourceName;
  return checkReference({ scope: object.scope, source, key: object.key.split('/'), field: object.field });
}

/** The canonical URI form. */
export function formatReference(reference: Reference): string {
  const key = reference.key.split('/').map(encode).join('/');
  const field = reference.field === undefined ? '' : `#${encode(reference.field)}`;
  return `${scheme}${reference.scope}/${encode(reference.source)}/${key}${field}`;
}

function checkReference(parts: {
  scope: ReferenceScope;
  source: string;
  key: readonly string[];
  field: string | undefined;
}): Reference {
  const { scope, source, key, field } = parts;
  if (!referenceScopes.includes(scope)) throw malformed('the scope must be domain, global or admin');
  if (!integrationName.test(source)) throw malformed('the source must be managed or the name of an integration');
  if (source.toLowerCase() === reservedSourceName && source !== reservedSourceName)
    throw malformed('the source managed is written in lower case');
  for (const segment of key)
    if (!isPathSegment(segment))
      throw malformed('the key has an empty, dot or control segment, a backslash or a percent sign');
  if (
    field !== undefined &&
    (field === '' || field.length > maxFieldLength || hasControl(field) || !field.isWellFormed())
  )
    throw malformed(`the field must be 1 to ${maxFieldLength} printable characters`);
  return field === undefined ? { scope, source, key: key.join('/') } : { scope, source, key: key.join('/'), field };
}

function hasControl(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed(`the ${part} has a broken percent-encoding`);
  }
}

/** encodeURIComponent leaves `!'()*` alone; the canonical form encodes them too (RFC 3986 §2.2 reserves them). */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function malformed(reason: string): StrongroomError {
  return new StrongroomError('reference_malformed', { detail: `The reference is not valid: ${reason}.` });
}
