import type { Vault } from '../../../servers/vault-server.ts';
import type { VaultSettings } from '@strongroom/contract';
import type { Backend } from '../src/backend.ts';
import type { Egress } from '../src/egress/index.ts';
import { definition } from '../src/vault/index.ts';
import {
  type AppRole,
  auditedRequests,
  createAppRole,
  liveParts,
  must,
  readPolicy,
  type VaultProduct,
} from './live-vault.ts';

/** A Vault over TLS with one secret, `db` below `secret/live`, an AppRole that may read there, and backends that do. */
export class LiveReader {
  static readonly path = '/v1/secret/data/live';
  readonly vault: Vault;
  readonly role: AppRole;
  /** The value of `db`. */
  readonly canary: string;
  readonly #egresses: Egress[] = [];

  private constructor(vault: Vault, role: AppRole, canary: string) {
    this.vault = vault;
    this.role = role;
    this.canary = canary;
  }

  static async start({ start }: Pick<VaultProduct, 'start'>): Promise<LiveReader> {
    const vault = await start({ tls: true });
    const role = await createAppRole(vault, 'reader', readPolicy);
    const canary = `canary-${crypto.randomUUID()}`;
    await must(vault, 'POST', 'secret/data/live/db', { data: { value: canary } });
    for (const header of ['X-Vault-Namespace', 'X-Vault-Request'])
      await must(vault, 'POST', `sys/config/auditing/request-headers/${header}`, { hmac: false });
    return new LiveReader(vault, role, canary);
  }

  /** Parts of a backend; closed with this. */
  parts(credentials: Readonly<Record<string, string>>) {
    const parts = liveParts(credentials);
    this.#egresses.push(parts.egress);
    return parts;
  }

  open(change: Partial<VaultSettings> = {}, credentials: Readonly<Record<string, string>> = {}): Promise<Backend> {
    const { vault, role } = this;
    const caCertificate = vault.caCertificate ?? '';
    const common = { address: vault.url, path: LiveReader.path, caCertificate, authentication: role.authentication };
    return definition.open({ ...common, ...change }, this.parts({ secretId: role.secretId, ...credentials }));
  }

  /** Kinds of requests by Vault's own record, without those of a managed store. */
  requestKinds(): readonly string[] {
    const asked = auditedRequests(this.vault).filter(({ path }) => !/iomete|capabilities-self/.test(path));
    const kinds = asked.map(({ operation, path }) =>
      operation === 'read' || operation === 'list' ? operation : `${operation} ${path}`,
    );
    return [...new Set(kinds)].toSorted();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#egresses.map((egress) => egress.close()));
    await this.vault.stop();
  }
}
