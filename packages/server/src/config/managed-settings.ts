import {
  type KubernetesStoreSettings,
  parseKubernetesTags,
  type StoreName,
  StrongroomError,
  type VaultAuthentication,
} from '@strongroom/contract';
import { isAuthority } from '../authorities.ts';
import {
  hasPrefix,
  legacyKubernetes,
  type LegacyTableSettings,
  type LegacyToken,
  readLegacyStore,
} from './legacy-store.ts';
import type { Configuration } from './schema.ts';
import type { BuildContext } from './settings.ts';

/** A Vault that the operator named. */
export interface VaultAccessSettings {
  readonly address: string;
  readonly namespace?: string;
  readonly caCertificate?: string;
  readonly authentication: VaultAuthentication;
  /** Of what it signs in with; null: the pod's ServiceAccount token at its usual place. */
  readonly credentialFile: string | null;
}

/** Where values may be kept, beside the database. */
export interface ManagedSettings {
  /** By scope; `undefined`: not set here, the database unless somebody chose another one. */
  readonly stores: Readonly<Record<'admin' | 'global' | 'domains', StoreName | undefined>>;
  readonly kubernetes: KubernetesStoreSettings;
  /** Null unless its address is set. */
  readonly vault: (VaultAccessSettings & { readonly path: string; readonly legacyToken?: LegacyToken }) | null;
  /** Whose rows appear under Global; null unless `secretStore.type` is `database`. */
  readonly legacyTable: LegacyTableSettings | null;
}

export function buildManagedSettings(context: BuildContext, resolvePath: (path: string) => string): ManagedSettings {
  const { stores, kubernetes, vault } = context.configuration;
  const legacy = readLegacyStore(context, resolvePath);
  const { default: common, admin = common, global = legacy?.type ?? common, domains = common } = stores;
  const access = buildVaultAccess(context, 'vault', vault, resolvePath);
  if (access !== null && vault.path === undefined) context.problems.push('vault.path goes with vault.address');
  if (access !== null && vault.path !== undefined && !hasPrefix(vault.path))
    context.problems.push('vault.path has no prefix: /v1/MOUNT/data/PREFIX');
  checkTags(kubernetes.tags ?? [], context.problems);
  const chosen = { admin, global, domains };
  const ours = access === null || vault.path === undefined ? null : { ...access, path: vault.path };
  if (access === null && legacy?.type !== 'vault')
    for (const [name, store] of Object.entries(chosen))
      if (store === 'vault') context.problems.push(`stores.${name} is vault, and vault.address is not set`);
  return {
    stores: chosen,
    kubernetes: {
      ...kubernetes,
      ...legacyKubernetes(context, legacy),
      ...(kubernetes.kubeconfigPath ? { kubeconfigPath: resolvePath(kubernetes.kubeconfigPath) } : {}),
    },
    vault: legacy?.vault ?? ours,
    legacyTable: legacy?.table ?? null,
  };
}

/** @param name of the group in the file, for problems */
export function buildVaultAccess(
  { problems, readFile }: BuildContext,
  name: string,
  given: Omit<Configuration['vault'], 'path'>,
  resolvePath: (path: string) => string,
): VaultAccessSettings | null {
  const { address, namespace, caFile, method, credentialFile } = given;
  if (address === undefined) return null;
  const authentication = authenticationOf(given);
  if (authentication === null)
    problems.push(`${name}.${method === 'app-role' ? 'roleId' : 'role'} goes with the method ${String(method)}`);
  if (credentialFile === undefined && method !== 'kubernetes')
    problems.push(`${name}.credentialFile goes with the method ${String(method)}`);
  let caCertificate: string | undefined;
  try {
    caCertificate = caFile === undefined ? undefined : readFile(resolvePath(caFile)).toString('utf8');
    if (caCertificate !== undefined && !isAuthority(caCertificate))
      problems.push(`${name}.caFile: the file ${caFile} is not made of certificates in PEM that can be read`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    problems.push(`${name}.caFile: the file ${String(caFile)} cannot be read${code}`);
  }
  return {
    address,
    ...(namespace === undefined ? {} : { namespace }),
    ...(caCertificate === undefined ? {} : { caCertificate }),
    authentication: authentication ?? { method: 'token' },
    credentialFile: credentialFile === undefined ? null : resolvePath(credentialFile),
  };
}

function authenticationOf({
  method,
  mount,
  roleId,
  role,
}: Omit<Configuration['vault'], 'path'>): VaultAuthentication | null {
  const at = mount === undefined ? {} : { mount };
  if (method === 'token') return { method };
  if (method === 'app-role') return roleId === undefined ? null : { method, roleId, ...at };
  return role === undefined ? null : { method, role, ...at };
}

/** A bad one is named: a tag is no secret. */
function checkTags(tags: readonly string[], problems: string[]): void {
  try {
    parseKubernetesTags(tags);
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    problems.push(...(error.errors ?? []).map(({ message }) => `kubernetes.tags: ${message}`));
  }
}
