import { readFile } from 'node:fs/promises';
import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import type { Fingerprints } from '@strongroom/backends/kubernetes';
import { SecretValue } from '@strongroom/crypto';
import type { ManagedSettings, VaultAccessSettings } from '../config/managed-settings.ts';
import type { OpenEgress } from '../integrations/connection.ts';
import type { OpenCredentialStore } from '../integrations/outside-credentials.ts';
import type { Keys } from '../keys/keys.ts';
import type { OpenManagedStore, StoreScope } from './opened-stores.ts';

export interface OpeningParts {
  readonly settings: ManagedSettings;
  readonly keys: Pick<Keys, 'fingerprint'>;
  readonly egress: OpenEgress;
  /** `secretStore.vaultSettings.token`. */
  readonly legacyVaultToken?: string | undefined;
}

/** One call of a backend, with its waiting for others and its retries. */
const callMilliseconds = 20_000;
const maxCredentialBytes = 64 * 1024;

/** Opens Kubernetes and Vault as the operator has set them up; each is loaded when a scope first needs it. */
export function createOpenManagedStore(parts: OpeningParts): OpenManagedStore {
  return async (type, scope) => {
    const [{ limited }, backend] = await Promise.all([
      import('@strongroom/backends'),
      type === 'KUBERNETES' ? openKubernetes(parts, scope) : openVault(parts, scope),
    ]);
    return limited(backend, { deadlineMs: callMilliseconds });
  };
}

async function openKubernetes({ settings, keys, egress }: OpeningParts, scope: StoreScope): Promise<Backend> {
  const { managedStores } = await import('@strongroom/backends/registry');
  const definition = await managedStores.KUBERNETES();
  return definition.open(
    { ...settings.kubernetes, scope: managedScope(scope), fingerprints: scopeFingerprints(keys, scope.id) },
    { egress: await egress(), credential: noCredential, now: Date.now },
  );
}

async function openVault({ settings, egress, legacyVaultToken }: OpeningParts, scope: StoreScope): Promise<Backend> {
  const { vault } = settings;
  if (vault === null)
    throw new StrongroomError('not_supported', {
      detail: 'The values of this scope are in Vault, and this server is not configured for it.',
      hint: 'Set STRONGROOM_VAULT_ADDRESS and STRONGROOM_VAULT_PATH.',
    });
  const { managedStores } = await import('@strongroom/backends/registry');
  const definition = await managedStores.VAULT();
  const { credentialFile: _file, legacyToken: _token, ...access } = vault;
  return definition.open(
    { ...access, scope: managedScope(scope) },
    { egress: await egress(), credential: vaultCredential(settings, vault, legacyVaultToken), now: Date.now },
  );
}

/** Opens the objects in Kubernetes that have integrations' credentials, as the operator has set the cluster up. */
export function createOpenCredentialStore({ settings, keys }: Omit<OpeningParts, 'egress'>): OpenCredentialStore {
  return async (scope) => {
    const [{ limited }, { openManagedKubernetes }] = await Promise.all([
      import('@strongroom/backends'),
      import('@strongroom/backends/kubernetes'),
    ]);
    const fingerprints = scopeFingerprints(keys, scope.id);
    const access = { ...settings.kubernetes, scope: managedScope(scope), fingerprints };
    const backend = await openManagedKubernetes({ ...access, purpose: 'vault-credentials' }, { now: Date.now });
    return limited(backend, { deadlineMs: callMilliseconds });
  };
}

/**
 * Fingerprints under the scope's key. Those of a scope whose keys were destroyed can't be compared any more: there the mark
 * alone says what is ours, so that a deleted domain's entries can be purged.
 */
export function scopeFingerprints(keys: Pick<Keys, 'fingerprint'>, scopeId: string): Fingerprints {
  return {
    make: (value) => fingerprintText(keys, scopeId, value),
    async matches(value, text) {
      try {
        return (await fingerprintText(keys, scopeId, value)) === text;
      } catch (error) {
        if (error instanceof StrongroomError && error.code === 'key_unavailable') return true;
        throw error;
      }
    },
  };
}

/** Compared as a whole: one of another key never matches. */
async function fingerprintText(keys: Pick<Keys, 'fingerprint'>, scopeId: string, value: SecretValue): Promise<string> {
  const { fingerprint, termId } = await keys.fingerprint(scopeId, value);
  return `${termId}.${Buffer.from(fingerprint).toString('base64url')}`;
}

function managedScope({ kind, name }: StoreScope) {
  return kind === 'domain' ? ({ kind, name } as const) : ({ kind } as const);
}

async function noCredential(name: string): Promise<SecretValue> {
  throw new StrongroomError('internal', { detail: `Nobody asks for ${name} here.` });
}

/** For a token that is read from a Secret, in milliseconds. */
const tokenMilliseconds = 10_000;

/** What the managed store in Vault is signed in to with, wherever the configuration says that it is. */
export function vaultCredential(
  { kubernetes }: Pick<ManagedSettings, 'kubernetes'>,
  { credentialFile, legacyToken }: Pick<NonNullable<ManagedSettings['vault']>, 'credentialFile' | 'legacyToken'>,
  legacyVaultToken: string | undefined,
): (name: string) => Promise<SecretValue> {
  if (legacyToken === undefined) return readCredential(credentialFile);
  if (legacyToken.kind === 'configuration') return async () => SecretValue.fromText(legacyVaultToken ?? '');
  const { name, key } = legacyToken;
  return async () => {
    const { readSecretKey } = await import('@strongroom/backends/kubernetes');
    const value = await readSecretKey(kubernetes, { name, key }, Date.now, AbortSignal.timeout(tokenMilliseconds));
    if (/^[!-~]+$/.test(value.revealText())) return value;
    value.destroy();
    throw new StrongroomError('key_unavailable', {
      detail: `The key ${key} of the Secret ${name} must hold one line of visible ASCII (secretStore.vaultSettings.tokenSecret).`,
    });
  };
}

/** What an operator's Vault is signed in to with: read anew each time, because files of tokens are exchanged. */
export function readCredential(file: VaultAccessSettings['credentialFile']): (name: string) => Promise<SecretValue> {
  return async (name) => {
    const { readServiceAccountToken, serviceAccountCredential } = await import('@strongroom/backends/vault');
    if (name === serviceAccountCredential) return readServiceAccountToken(file ?? undefined);
    const bytes = await readFile(file ?? '').catch((cause: unknown) => {
      const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
      throw new StrongroomError('key_unavailable', {
        detail: `The file ${String(file)} with the credential for Vault can not be read${code}.`,
      });
    });
    try {
      const text = bytes.toString('utf8').replace(/\r?\n$/, '');
      if (text === '' || bytes.length > maxCredentialBytes || /[^!-~]/.test(text))
        throw new StrongroomError('key_unavailable', {
          detail: `The file ${String(file)} must hold one line of visible ASCII.`,
        });
      return SecretValue.fromText(text);
    } finally {
      bytes.fill(0);
    }
  };
}
