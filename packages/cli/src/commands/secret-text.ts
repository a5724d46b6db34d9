import type { CallResult, ItemOf } from '@strongroom/sdk';
import type { Output } from '../output/output.ts';
import { count, localTime } from '../output/text.ts';

export type SecretMetadata = CallResult<'showDomainSecret'>;
/** A secret, or a key of an integration beside them. */
type ListedSecret = ItemOf<'listDomainSecrets'>;
/** One field that holds a reference, of a catalogue's key or of any reference. */
interface UseRow {
  readonly domain: string;
  readonly surface: string;
  /** Absent where the caller may not see it. */
  readonly configuration?: string;
  readonly name: string;
  readonly pointer: string;
  readonly kind: string;
  readonly authorisedBy?: string;
}

/** Everything of a secret that is there to be seen. */
export function printSecret(output: Output, secret: SecretMetadata): void {
  output.facts({
    key: secret.key,
    reference: secret.reference,
    scope: secret.domain === undefined ? secret.scope : `domain ${secret.domain}`,
    source: `${secret.source} (${secret.sourceType})`,
    'in the store': storeText[secret.storeState ?? 'as-left'],
    'left by': secret.isUnmarked === true ? 'another program; only read until strongroom store adopt' : undefined,
    name: nameText[secret.nameProblem ?? 'none'],
    value: secret.fields === undefined ? secret.shape : `fields ${secret.fields.join(', ')}`,
    version: secret.version,
    description: present(secret.description),
    folder: present(secret.folder),
    tags: present(secret.tags.join(', ')),
    owner: present(secret.owner),
    'used by': `${secret.usedBy}`,
    rotated: localTime(secret.rotatedAt),
    'rotate every': secret.rotateEveryDays === null ? undefined : `${secret.rotateEveryDays} days (${secret.rotation})`,
    expires:
      secret.expiresAt === null ? undefined : `${localTime(secret.expiresAt)}${secret.isExpired ? ' (expired)' : ''}`,
    destinations: secret.destinations?.map(({ scheme, host, port }) => `${scheme}://${host}:${port}`).join(', '),
    'last launched': localTime(secret.lastLaunchedAt),
    created: `${localTime(secret.createdAt)} by ${secret.createdBy}`,
    updated: `${localTime(secret.updatedAt)} by ${secret.updatedBy}`,
    deleted: secret.deletedAt === null ? undefined : localTime(secret.deletedAt),
    'purged after': secret.purgeAfter === null ? undefined : localTime(secret.purgeAfter),
    revision: `${secret.revision}`,
  });
}

const storeText = {
  'as-left': undefined,
  'foreign-edit': 'edited outside of Strongroom',
  missing: 'missing',
} as const;

const nameText = {
  none: undefined,
  odd: 'odd: no key that could be made here',
  clash: 'clashes with another that differs in case alone',
} as const;

export function printSecrets(output: Output, secrets: readonly ListedSecret[]): void {
  output.table(
    [
      { title: 'KEY' },
      { title: 'SOURCE' },
      { title: 'TYPE' },
      { title: 'FOLDER', canCut: true, isOptional: true },
      { title: 'VERSION' },
      { title: 'USED BY' },
      { title: 'ROTATED' },
      { title: 'STATE' },
      { title: 'DESCRIPTION', canCut: true, isOptional: true },
    ],
    secrets.map((secret) => {
      const source =
        secret.scope === 'global' && secret.source !== 'managed' ? `global/${secret.source}` : secret.source;
      const { key, sourceType, usedBy } = secret;
      if ('isReadOnly' in secret) return [key, source, sourceType, '-', '-', `${usedBy}`, '-', 'read-only', ''];
      return [
        key,
        source,
        sourceType,
        secret.folder,
        secret.version,
        `${secret.usedBy}`,
        localTime(secret.rotatedAt),
        secretState(secret),
        secret.description,
      ];
    }),
  );
}

export function printUses(output: Output, uses: readonly UseRow[]): void {
  output.table(
    [
      { title: 'DOMAIN' },
      { title: 'SURFACE' },
      { title: 'CONFIGURATION' },
      { title: 'NAME' },
      { title: 'FIELD', canWrap: true },
      { title: 'KIND' },
      { title: 'AUTHORISED BY', canCut: true, isOptional: true },
    ],
    uses.map((use) => [
      use.domain,
      use.surface,
      use.configuration ?? '(not yours)',
      use.name,
      use.pointer,
      use.kind,
      use.authorisedBy ?? '',
    ]),
  );
}

/** What a change broke, in a line. */
export function brokenText({
  brokenUses,
  isComplete,
}: {
  readonly brokenUses: readonly unknown[];
  readonly isComplete: boolean;
}): string {
  return `${isComplete ? '' : 'more than '}${count(brokenUses.length, 'field')} can't be launched any more`;
}

function secretState(secret: SecretMetadata): string {
  if (secret.deletedAt !== null) return 'deleted';
  if (secret.isExpired) return 'expired';
  const found = [secret.isUnmarked === true ? 'unmarked' : '', secret.nameProblem ?? ''].filter((part) => part !== '');
  if (found.length > 0) return found.join(', ');
  return secret.rotation === 'due' ? 'due' : '-';
}

function present(text: string): string | undefined {
  return text === '' ? undefined : text;
}
