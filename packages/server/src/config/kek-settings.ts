import { join } from 'node:path';
import { regionOfArn } from './kms-access.ts';
import { buildVaultAccess, type VaultAccessSettings } from './managed-settings.ts';
import type { BuildContext } from './settings.ts';

/** The field of a KV version 2 secret that holds the key-encryption key. */
export interface VaultKekLocation extends VaultAccessSettings {
  readonly path: string;
  readonly field: string;
}

/** The key of AWS KMS that the key-encryption key's file is encrypted with. */
export interface KmsKekLocation {
  readonly region: string;
  readonly keyArn: string;
  readonly endpoint?: string;
}

/** Where the key-encryption key is. */
export type KekSettings =
  | { readonly kind: 'file'; readonly file: string; readonly isDefault: boolean }
  /** `file`: where a recovery puts the key, to be taken to Vault from there. */
  | { readonly kind: 'vault'; readonly file: string; readonly vault: VaultKekLocation }
  /** `file` holds what only KMS decrypts. */
  | { readonly kind: 'aws-kms'; readonly file: string; readonly kms: KmsKekLocation };

type Resolve = (path: string) => string;

export function buildKekSettings(context: BuildContext, dataDir: string, resolvePath: Resolve): KekSettings {
  const { kekSource, kekFile } = context.configuration;
  const file = kekFile === undefined ? join(dataDir, 'kek') : resolvePath(kekFile);
  const ofKeyFile = { kind: 'file', file, isDefault: kekFile === undefined } as const;
  if (kekSource === 'file') return ofKeyFile;
  if (kekFile !== undefined)
    context.problems.push(`kekSource is ${kekSource} and kekFile is set; one of them is enough`);
  if (kekSource === 'aws-kms') {
    const { kekAwsKms } = context.configuration;
    const kms = buildKmsKek(context);
    const { file: named } = kekAwsKms;
    const wrapped = named === undefined ? join(dataDir, 'kek.aws-kms') : resolvePath(named);
    return kms === null ? ofKeyFile : { kind: 'aws-kms', file: wrapped, kms };
  }
  const vault = buildVaultKek(context, resolvePath);
  return vault === null ? ofKeyFile : { kind: 'vault', file, vault };
}

/** `null` where there is a problem. */
function buildVaultKek(context: BuildContext, resolvePath: Resolve): VaultKekLocation | null {
  const { kekVault } = context.configuration;
  const { path, field } = kekVault;
  const access = buildVaultAccess(context, 'kekVault', kekVault, resolvePath);
  if (access !== null && path !== undefined) return { ...access, path, field };
  context.problems.push('kekSource is vault: kekVault.address and kekVault.path are needed');
  return null;
}

/** `null` where there is a problem. */
function buildKmsKek({ configuration, problems }: BuildContext): KmsKekLocation | null {
  const { keyArn, region, endpoint } = configuration.kekAwsKms;
  if (keyArn === undefined) {
    problems.push('kekSource is aws-kms: kekAwsKms.keyArn is needed');
    return null;
  }
  const ofArn = regionOfArn(keyArn);
  if (region !== undefined && region !== ofArn)
    problems.push(`kekAwsKms.region is ${region}, and kekAwsKms.keyArn names a key in ${ofArn}`);
  return { region: ofArn, keyArn, ...(endpoint === undefined ? {} : { endpoint }) };
}
