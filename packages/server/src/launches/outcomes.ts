import type { ErrorCode, FieldError, Reference, ResolveOutcome } from '@strongroom/contract';
import { formatReference } from '@strongroom/contract';

/** What every outcome means to people: the error's code, the cause in words, and who can fix it. */
interface OutcomeRow {
  readonly code: ErrorCode;
  readonly cause: string;
  /** `manager`: whoever manages the secret's scope. */
  readonly fixableBy: 'manager' | 'access' | 'editor' | 'integration' | 'administrator' | 'operator' | 'nobody';
}

const rows: Readonly<Record<Exclude<ResolveOutcome, 'resolved'>, OutcomeRow>> = {
  missing: { code: 'reference_unresolved', cause: 'There is no secret with this key.', fixableBy: 'manager' },
  deleted: { code: 'reference_unresolved', cause: 'The secret is deleted; it can be restored.', fixableBy: 'manager' },
  'field-missing': {
    code: 'reference_unresolved',
    cause: 'The value has no such field.',
    fixableBy: 'manager',
  },
  'use-missing': {
    code: 'permission_missing',
    cause: 'USE on the secret is missing for who put the reference there.',
    fixableBy: 'access',
  },
  'authoriser-gone': {
    code: 'permission_missing',
    cause: 'Who put the reference there is disabled, deleted or without standing; save it again as somebody with USE.',
    fixableBy: 'editor',
  },
  'not-yours': { code: 'not_found', cause: 'Not found, or not yours.', fixableBy: 'nobody' },
  'source-unknown': {
    code: 'reference_unresolved',
    cause: 'There is no integration with this name, or it is not yours.',
    fixableBy: 'integration',
  },
  'source-changed': {
    code: 'reference_unresolved',
    cause: 'The integration was made anew since the reference was saved; save it again.',
    fixableBy: 'editor',
  },
  'source-unavailable': {
    code: 'backend_unavailable',
    cause: 'The source could not be read; this is no statement about the secret.',
    fixableBy: 'operator',
  },
  'key-unavailable': {
    code: 'key_unavailable',
    cause: 'The value can not be decrypted.',
    fixableBy: 'operator',
  },
  'invalid-value': { code: 'launch_refused', cause: 'The value does not fit this place.', fixableBy: 'manager' },
  'feature-disabled': {
    code: 'feature_disabled',
    cause: 'References are turned off on this installation.',
    fixableBy: 'administrator',
  },
  deadline: { code: 'deadline_exceeded', cause: 'The source took too long.', fixableBy: 'operator' },
  withheld: {
    code: 'launch_refused',
    cause: 'Another reference did not resolve, so nothing was delivered.',
    fixableBy: 'nobody',
  },
};

export type Failure = Exclude<ResolveOutcome, 'resolved'>;

/** The words for one failure. `detail` adds what only this occurrence knows; it never holds a value. */
export function explainFailure(
  outcome: Failure,
  place: { readonly domain: string; readonly reference: Reference },
  detail?: string,
): { readonly code: ErrorCode; readonly cause: string; readonly fixableBy: readonly string[] } {
  const row = rows[outcome];
  const cause = detail === undefined ? row.cause : `${row.cause} ${detail}`;
  return { code: row.code, cause, fixableBy: fixers(row.fixableBy, place) };
}

function fixers(
  who: OutcomeRow['fixableBy'],
  { domain, reference }: { readonly domain: string; readonly reference: Reference },
): readonly string[] {
  switch (who) {
    case 'manager':
      return reference.scope === 'domain' ? [`MANAGE_SECRETS in ${domain}`] : ['SECRETS_ADMIN'];
    case 'access':
      return [`MANAGE_ACCESS in ${domain}`];
    case 'editor':
      return [`UPDATE on the configuration, and USE on the secret, in ${domain}`];
    case 'integration':
      return [`CREATE_INTEGRATION in ${domain}`];
    case 'administrator':
      return ['PLATFORM_ADMIN'];
    case 'operator':
      return ['an operator of the server'];
    case 'nobody':
      return [];
  }
}

/** One bad reference as an error names it. */
export function referenceError(
  failure: Failure,
  place: { readonly domain: string; readonly reference: Reference; readonly pointer: string; readonly name: string },
  detail?: string,
): FieldError {
  const { code, cause, fixableBy } = explainFailure(failure, place, detail);
  const reference = formatReference(place.reference);
  return { pointer: place.pointer, message: `${place.name}: ${reference}: ${cause}`, reference, code, fixableBy };
}
