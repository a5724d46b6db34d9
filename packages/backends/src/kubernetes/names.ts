import { createHash } from 'node:crypto';
import { isPath, StrongroomError } from '@strongroom/contract/core';
import type { ManagedScope } from '../vault-managed/scope-path.ts';

export { type ScopeObjectKind, scopeObjectName } from '@strongroom/contract/core';

/** Of an object: a DNS subdomain (RFC 1123). */
const maxObjectNameLength = 253;
const maxKeyLength = 1024;
const hashLength = 12;
const hashedPattern = new RegExp(`-[0-9a-f]{${hashLength}}$`);
const plainPattern = /^[a-z0-9]+$/;
const plainWithHyphens = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** What keeps the objects of two installs, scopes and keys apart. */
export interface Identity {
  readonly prefix: string;
  readonly clusterName: string;
  readonly scope: ManagedScope;
  /** The domain whose names are, as Global's, the path of the key alone; what clashes is refused by the annotation. */
  readonly openMetadataDomain?: string | undefined;
  /** A path; its segments are the components of OpenMetadata's names. */
  readonly key: string;
}

/** What the settings of a store say of every key of a scope. */
export function identityOf(
  {
    prefix = '',
    clusterName = 'strongroom',
    openMetadataDomain,
  }: { readonly prefix?: string; readonly clusterName?: string; readonly openMetadataDomain?: string },
  scope: ManagedScope,
): Omit<Identity, 'key'> {
  return { prefix, clusterName, scope, openMetadataDomain };
}

export type Naming = 'unique' | 'openmetadata';

/**
 * The identity as the annotation has it: `PREFIX/CLUSTER/SCOPE/KEY`, the scope `global`, `admin` or `domain:NAME`. Equal
 * only for equal identities.
 */
export function formatIdentity({ prefix, clusterName, scope, key }: Identity): string {
  return `${encodeURIComponent(prefix)}/${encodeURIComponent(clusterName)}/${formatScope(scope)}/${key}`;
}

export function formatScope(scope: ManagedScope): string {
  return scope.kind === 'domain' ? `domain:${encodeURIComponent(scope.name)}` : scope.kind;
}

/** The scope's part of an annotation; `null` for what isn't one. */
export function scopeOfIdentity(identity: string): string | null {
  return identity.split('/')[2] ?? null;
}

/**
 * The name of the object of one key: `<prefix>-<clusterName>-<path>-<component>` in lower-case letters, digits and hyphens,
 * at most 253 of them. Global, and the domain that stands for OpenMetadata, have the path of the key alone, as OpenMetadata has it;
 * the others begin with `admin` or `domain-NAME`.
 *
 * With `unique`, twelve hexadecimal digits of a hash follow where the name alone would not be the key's own: something was
 * changed or cut, or other components would be joined to the same name. What is left of clashes (`a-b` and `a/b` in one
 * scope, two installs with prefixes that run together) is found by the annotation.
 *
 * @throws StrongroomError `validation_failed` for what can't be a key
 */
export function objectName(identity: Identity, naming: Naming): string {
  checkKey(identity.key);
  const { prefix, clusterName, key } = identity;
  const components = [...scopeComponents(identity), ...key.split('/')];
  const whole = sanitise([prefix, clusterName, ...components].join('-'));
  const cut = trimHyphens(whole.slice(0, maxObjectNameLength));
  if (naming === 'openmetadata') {
    if (sanitise(components.join('-')) !== '') return cut;
    throw new StrongroomError('validation_failed', {
      detail: 'The key has neither a letter nor a digit that a name in Kubernetes can have.',
    });
  }
  if (cut === whole && isOwnName(identity) && !hashedPattern.test(whole)) return whole;
  const hash = createHash('sha256').update(formatIdentity(identity)).digest('hex').slice(0, hashLength);
  return `${trimHyphens(whole.slice(0, maxObjectNameLength - hashLength - 1))}-${hash}`;
}

/** Whether no other key of the same install, in another scope or of more or fewer components, is joined to the same name. */
function isOwnName({ prefix, clusterName, scope, openMetadataDomain, key }: Identity): boolean {
  const segments = key.split('/');
  const isPlain =
    segments.length === 1 ? plainWithHyphens.test(key) : segments.every((each) => plainPattern.test(each));
  const before = [prefix, clusterName].filter((part) => part !== '');
  if (!isPlain || !before.every((part) => plainWithHyphens.test(part))) return false;
  switch (scope.kind) {
    case 'global':
      return !/^(?:admin|domain)(?:[-/]|$)/.test(key);
    case 'admin':
      return true;
    case 'domain':
      if (scope.name === openMetadataDomain) return !/^(?:admin|domain)(?:[-/]|$)/.test(key);
      return plainPattern.test(scope.name);
  }
}

function scopeComponents({ scope, openMetadataDomain }: Identity): readonly string[] {
  switch (scope.kind) {
    case 'global':
      return [];
    case 'admin':
      return ['admin'];
    case 'domain':
      return scope.name === openMetadataDomain ? [] : ['domain', scope.name];
  }
}

function sanitise(text: string): string {
  return trimHyphens(text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'));
}

function trimHyphens(text: string): string {
  return text.replace(/^-+/, '').replace(/-+$/, '');
}

/** @throws StrongroomError `validation_failed`; the key is not repeated */
function checkKey(key: string): string {
  if (key.length <= maxKeyLength && isPath(key)) return key;
  throw new StrongroomError('validation_failed', {
    detail:
      'The key is not a name in Kubernetes: it is too long, or has an empty, dot or control segment, a backslash or a percent sign.',
  });
}

/** A key inside an object: https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data. */
export function isDataKey(key: string): boolean {
  return /^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== '.' && !key.startsWith('..');
}

/** @throws StrongroomError `validation_failed`; the key is not repeated */
export function checkDataKey(key: string): string {
  if (isDataKey(key)) return key;
  throw new StrongroomError('validation_failed', {
    detail:
      'The key is not one of a Kubernetes Secret: it takes 1 to 253 letters, digits, hyphens, underscores and dots, not two dots in front.',
  });
}
