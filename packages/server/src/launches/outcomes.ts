import type { ErrorCode, FieldError, Reference, ResolveOutcome } from '@strongroom/contract';
import { formatReference, reservedSourceName } from '@strongroom/contract';

/** What every outcome means to people: the error's code, the cause in words, and who can fix it. */
interface OutcomeRow {
  readonly code: ErrorCode;
  readonly cause: string;
  readonly fixableBy: Fixer;
}

/**
 * `manager`: whoever manages the values of the source. `backend`: whoever runs what is behind it. `connection`: whoever
 * changes the integration, or the backend's policy for it.
 */
type Fixer =
  | 'manager'
  | 'access'
  | 'editor'
  | 'integration'
  | 'connection'
  | 'backend'
  | 'administrator'
  | 'operator'
  | 'nobody';

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
    cause: 'USE is missing for who put the reference there.',
    fixableBy: 'access',
  },
  'authoriser-gone': {
    code: 'permission_missing',
    cause: 'Who put the reference there is disabled, deleted or without standing; save it again as somebody with USE.',
    fixableBy: 'editor',
  },
  // By those who can give what may be there: that they are named says nothing of whether it is.
  'not-yours': { code: 'not_found', cause: 'Not found, or not yours.', fixableBy: 'access' },
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
    fixableBy: 'backend',
  },
  'source-denied': {
    code: 'backend_denied',
    cause: 'The backend refuses the credential of the integration, or its policy does not let it read this.',
    fixableBy: 'connection',
  },
  'source-sealed': {
    code: 'backend_sealed',
    cause: 'The backend is sealed, on standby or not initialised.',
    fixableBy: 'backend',
  },
  'source-throttled': {
    code: 'backend_throttled',
    cause: 'The backend asks for fewer requests.',
    fixableBy: 'backend',
  },
  'source-malformed': {
    code: 'backend_malformed',
    cause: 'What answers at the address of the source does not speak its protocol.',
    fixableBy: 'connection',
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
  deadline: { code: 'deadline_exceeded', cause: 'The source took too long.', fixableBy: 'backend' },
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
  const cause = detail === undefined || detail === '' ? row.cause : `${row.cause} ${detail}`;
  return { code: row.code, cause, fixableBy: fixers(row.fixableBy, place) };
}

function fixers(
  who: Fixer,
  { domain, reference }: { readonly domain: string; readonly reference: Reference },
): readonly string[] {
  const { source } = reference;
  const isOwn = reference.scope === 'domain';
  const isManaged = source === reservedSourceName;
  switch (who) {
    case 'manager':
      if (!isManaged) return [`whoever writes to the backend of ${source}`];
      return isOwn ? [`MANAGE_SECRETS in ${domain}`] : ['SECRETS_ADMIN'];
    case 'access':
      return [`MANAGE_ACCESS in ${domain}`];
    case 'editor':
      return [`UPDATE on the configuration, and USE on the ${isManaged ? 'secret' : 'integration'}, in ${domain}`];
    case 'integration':
      return [isOwn ? `CREATE_INTEGRATION in ${domain}` : 'SECRETS_ADMIN', `MANAGE_ACCESS in ${domain}`];
    case 'connection':
      if (isManaged) return fixers('backend', { domain, reference });
      return [
        isOwn ? `UPDATE on the integration ${source} in ${domain}` : 'SECRETS_ADMIN',
        `whoever runs the backend of ${source}`,
      ];
    case 'backend':
      return isManaged ? ['an operator of the server'] : [`whoever runs the backend of ${source}`];
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
