import { readFileSync } from 'node:fs';
import { SecretValue } from '@strongroom/crypto';
import type { VaultSettings } from '@strongroom/contract';
import type { Content } from '../src/backend.ts';
import type { ConformanceContext, ConformancePlace } from '../src/conformance/index.ts';
import type { BackendParts } from '../src/definition.ts';
import { createEgress } from '../src/egress/index.ts';
import type { Vault, VaultOptions } from '../../../servers/vault-server.ts';
import { FaultProxy, type NetworkFault } from './fault-proxy.ts';

const networkFaults: readonly NetworkFault[] = ['unreachable', 'cut', 'hanging', 'failing', 'throttled', 'malformed'];

/** What an integration needs and nothing else; the same as in docs/guides/vault.md. */
export const readPolicy = `
path "secret/data/*" { capabilities = ["read"] }
path "secret/metadata/*" { capabilities = ["list", "read"] }
path "secret/subkeys/*" { capabilities = ["read"] }
`;

/** Whose program a suite is run over. */
export interface VaultProduct {
  readonly name: 'Vault' | 'OpenBao';
  readonly start: (options?: VaultOptions) => Promise<Vault>;
  /** Vault's free edition takes the header of a namespace, and has none. */
  readonly hasNamespaces: boolean;
  /** Whether `start` can have a second node. */
  readonly hasStandby: boolean;
}

/** What administers a server, or a namespace of it. */
export type VaultAdministration = Pick<Vault, 'request'>;

/** A new namespace, by way of those above it, with KV v2 at `secret/`. */
export async function createNamespace(vault: Vault, path: string): Promise<VaultAdministration> {
  const inside = (namespace: string): VaultAdministration => ({
    request: (method, below, body, token) => vault.request(method, `${namespace}${below}`, body, token),
  });
  let namespace = '';
  for (const name of path.split('/')) {
    await must(inside(namespace), 'POST', `sys/namespaces/${name}`, {});
    namespace += `${name}/`;
  }
  await must(inside(namespace), 'POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await untilServing(inside(namespace));
  return inside(namespace);
}

export interface AppRole {
  readonly authentication: Extract<VaultSettings['authentication'], { method: 'app-role' }>;
  readonly secretId: string;
}

/** What a managed store needs below its prefix `managed`; the same as in docs/guides/vault.md. */
export const writePolicy = `
path "secret/data/managed*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/managed*" { capabilities = ["create", "read", "update", "delete", "list"] }
`;

/** Mounts AppRole unless it is there, and makes a role with a policy of the same name. */
export async function createAppRole(
  vault: VaultAdministration,
  role: string,
  policy: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<AppRole> {
  await must(vault, 'POST', `sys/policies/acl/${role}`, { policy });
  const mounted = await vault.request('GET', 'sys/auth/approle');
  if (mounted.status !== 200) await must(vault, 'POST', 'sys/auth/approle', { type: 'approle' });
  await must(vault, 'POST', `auth/approle/role/${role}`, { token_policies: [role], ...options });
  const { role_id: roleId } = await must<{ role_id: string }>(vault, 'GET', `auth/approle/role/${role}/role-id`);
  const { secret_id: secretId } = await must<{ secret_id: string }>(
    vault,
    'POST',
    `auth/approle/role/${role}/secret-id`,
    {},
  );
  return { authentication: { method: 'app-role', roleId }, secretId };
}

/** A request with the root token that has to succeed; its `data`. */
export async function must<Data = unknown>(
  vault: VaultAdministration,
  method: string,
  path: string,
  body?: unknown,
): Promise<Data> {
  const answer = await vault.request<{ data: Data }>(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body.data;
}

/** What an opened backend is given, with these credentials. Loopback is allowed, as in the embedded install. */
export function liveParts(credentials: Readonly<Record<string, string>>): BackendParts {
  return {
    egress: createEgress({ allow: [], allowLoopback: true }),
    credential: (name) => Promise.resolve(SecretValue.fromText(credentials[name] ?? `no ${name}`)),
    now: Date.now,
  };
}

/** All troubles: those of the network by a proxy, the others by the real thing. */
export async function liveFaults(
  vault: Vault,
  policies: Readonly<Record<string, string>>,
): Promise<{ readonly proxy: FaultProxy; readonly faults: NonNullable<ConformanceContext['faults']> }> {
  const proxy = new FaultProxy(vault.url);
  await proxy.listen();
  const setPolicies = async (isEmpty: boolean): Promise<void> => {
    for (const [name, policy] of Object.entries(policies))
      await must(vault, 'POST', `sys/policies/acl/${name}`, { policy: isEmpty ? 'path "none" {}' : policy });
  };
  return {
    proxy,
    faults: {
      ...Object.fromEntries(networkFaults.map((kind) => [kind, proxy.fault(kind)])),
      denied: async () => {
        await setPolicies(true);
        return () => setPolicies(false);
      },
      sealed: async () => {
        await vault.seal();
        return async () => {
          await vault.unseal();
          await untilServing(vault);
        };
      },
    },
  };
}

/** A KV engine prepares itself after the start. */
async function untilServing(vault: VaultAdministration): Promise<void> {
  for (;;) {
    const { status } = await vault.request('GET', 'secret/config');
    if (status === 200) return;
  }
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** Each key a secret of its own below a path. */
export function secretPerKeyPlace(vault: Vault, root: string): ConformancePlace {
  return {
    seed: async (key, { value, shape }) => {
      const data = textData(value.revealText(), shape);
      await must(vault, 'POST', `secret/data/${root}/${encoded(key)}`, { data });
    },
    remove: async (key) => {
      await must(vault, 'DELETE', `secret/metadata/${root}/${encoded(key)}`);
    },
    softDelete: async (key) => {
      await must(vault, 'DELETE', `secret/data/${root}/${encoded(key)}`);
    },
  };
}

/** Entries of a managed store, as a write of ours and as a change from outside leave them. */
export function managedPlace(vault: Vault, folder: string): ConformancePlace {
  const at = (api: string, key: string) => `secret/${api}/${folder}/${encoded(key)}`;
  return {
    seed: async (key, { value, shape }) => {
      const data =
        shape === 'binary' ? binaryData(value, `secret/${folder}/${key}`) : textData(value.revealText(), shape);
      await must(vault, 'POST', at('data', key), { data });
      await must(vault, 'POST', at('metadata', key), { custom_metadata: { 'strongroom-managed': 'true' } });
    },
    remove: async (key) => {
      await must(vault, 'DELETE', at('metadata', key));
    },
    softDelete: async (key) => {
      await must(vault, 'DELETE', at('data', key));
    },
  };
}

function textData(text: string, shape: Content['shape']): unknown {
  return shape === 'fields' ? (JSON.parse(text) as unknown) : { value: text };
}

function binaryData(value: SecretValue, place: string): unknown {
  return {
    valueBase64: Buffer.from(value.reveal()).toString('base64'),
    _strongroom: JSON.stringify({ intentId: 'seeded', version: 0, place, shape: 'binary' }),
  };
}

/** What somebody else has in Vault: beside an entry of ours, and where one would be. */
export function foreignThings(vault: Vault, folder: string): NonNullable<ConformanceContext['foreign']> {
  const data = (key: string) => `secret/data/${folder}/${encoded(key)}`;
  const read = (key: string) => must<{ data: Record<string, string>; metadata: unknown }>(vault, 'GET', data(key));
  const noRemoval = () => Promise.resolve();
  return {
    beside: async (key) => {
      const { data: before } = await read(key);
      await must(vault, 'POST', data(key), { data: { ...before, note: 'theirs' } });
      return { isUntouched: async () => (await read(key)).data['note'] === 'theirs', remove: noRemoval };
    },
    inPlaceOf: async (key) => {
      await must(vault, 'POST', data(key), { data: { value: 'theirs' } });
      const before = JSON.stringify(await read(key));
      return { isUntouched: async () => JSON.stringify(await read(key)) === before, remove: noRemoval };
    },
  };
}

/** Each key a field of one secret. */
export function fieldsPlace(vault: Vault, path: string): ConformancePlace {
  const fields = new Map<string, string>();
  let last = Promise.resolve();
  const write = (change: () => void): Promise<void> => {
    last = last.then(async () => {
      change();
      await must(vault, 'POST', `secret/data/${path}`, { data: Object.fromEntries(fields) });
    });
    return last;
  };
  return {
    seed: (key, content: Content) => write(() => fields.set(key, content.value.revealText())),
    remove: (key) => write(() => fields.delete(key)),
  };
}

export interface AuditRecord {
  readonly type: 'request' | 'response';
  readonly auth?: { readonly policies?: readonly string[]; readonly display_name?: string };
  readonly request: {
    readonly operation: string;
    readonly path: string;
    readonly mount_type?: string;
    readonly headers?: Readonly<Record<string, readonly string[]>>;
  };
}

/** What others than the tests themselves asked for, by the server's own record: log-ins and what isn't asked with the root token. */
export function auditedRequests(vault: Vault): AuditRecord['request'][] {
  return (
    readFileSync(vault.auditLogPath, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditRecord)
      .filter(({ type, auth }) => type === 'request' && auth?.policies?.includes('root') !== true)
      .map(({ request }) => request)
      // Vault's own, when the audit device is made.
      .filter(({ path }) => path !== 'sys/audit/test')
  );
}
