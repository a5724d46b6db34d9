import type { SecretProperties } from '@azure/keyvault-secrets';
import type { KeyVersion } from '../backend.ts';
import { malformed } from './failures.ts';

export type LatestVersion = KeyVersion | null | 'disabled';

/**
 * Which of a secret's versions is the current one: the latest, enabled or not. Azure lists them in no order and says when each
 * was made to the second, so that of two of one second it can't be told.
 *
 * @see https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret-versions/get-secret-versions
 * @returns `undefined` when it can't be told; `null` for a secret whose name has other letters
 * @throws StrongroomError `backend_malformed`
 */
export function latestVersion(
  listed: readonly (SecretProperties | null)[],
  { key, origin, versionPattern }: { readonly key: string; readonly origin: string; readonly versionPattern: RegExp },
): LatestVersion | undefined {
  let latest: { readonly version: string; readonly at: number; readonly isEnabled: boolean } | undefined;
  let isTied = false;
  for (const properties of listed) {
    const { name, version, vaultUrl, createdOn, enabled } = properties ?? {};
    const isRead = typeof name === 'string' && typeof version === 'string' && versionPattern.test(version);
    if (!isRead || vaultUrl !== origin || name.toLowerCase() !== key.toLowerCase())
      throw malformed('listing the versions of a secret');
    if (name !== key) return null;
    const at = createdOn instanceof Date ? createdOn.getTime() : Number.NaN;
    if (Number.isNaN(at)) return undefined;
    if (latest !== undefined && at <= latest.at) isTied ||= at === latest.at;
    else {
      latest = { version, at, isEnabled: enabled !== false };
      isTied = false;
    }
  }
  if (latest === undefined || isTied) return undefined;
  return latest.isEnabled ? { version: latest.version } : 'disabled';
}
