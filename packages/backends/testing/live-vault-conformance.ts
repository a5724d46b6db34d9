import { SecretValue } from '@strongroom/crypto';
import type { VaultSettings } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../../servers/vault-server.ts';
import { describeConformance } from './conformance.ts';
import type { FaultProxy } from './fault-proxy.ts';
import {
  type AppRole,
  auditedRequests,
  createAppRole,
  fieldsPlace,
  liveFaults,
  liveParts,
  readPolicy,
  secretPerKeyPlace,
  type VaultProduct,
} from './live-vault.ts';
import { conformanceChecks, type ConformanceContext, keyKinds, type KeyKind } from '../src/conformance/index.ts';
import type { Egress } from '../src/egress/index.ts';
import { definition } from '../src/vault/index.ts';

/** The conformance suite over an integration, in both layouts. */
export function describeVaultConformance({ name, start }: VaultProduct): void {
  describe(`${name}, under an integration, by the conformance suite`, () => {
    let vault: Vault;
    let role: AppRole;
    let proxy: FaultProxy;
    let faults: ConformanceContext['faults'];
    const egresses: Egress[] = [];

    beforeAll(async () => {
      vault = await start();
      role = await createAppRole(vault, 'reader', readPolicy);
      ({ proxy, faults } = await liveFaults(vault, { reader: readPolicy }));
    });

    afterAll(async () => {
      await Promise.all(egresses.map((egress) => egress.close()));
      await proxy.close();
      await vault.stop();
    });

    async function open(layout: 'secret-per-key' | 'fields', path: string) {
      const settings: VaultSettings = { address: proxy.url, path, layout, authentication: role.authentication };
      const parts = liveParts({ secretId: role.secretId });
      egresses.push(parts.egress);
      return definition.open(settings, parts);
    }

    const common = (): ConformanceContext => ({
      open: () => Promise.reject(new Error('no layout')),
      unknownVersion: '99999',
      ...(faults === undefined ? {} : { faults }),
      credentials: [SecretValue.fromText(role.secretId)],
      sizes: { abortGraceMs: 1000, checkMs: 60_000 },
    });

    /** An integration is only read, and Vault keeps text. */
    const notTried = conformanceChecks
      .filter(({ needs }) => needs.some((need) => ['put', 'delete', 'binary'].includes(need)))
      .map(({ name }) => name)
      .concat('list-known-keys', 'foreign-not-listed');

    /** Fields of one secret share its version. */
    const ofVersions = conformanceChecks.filter(({ needs }) => needs.includes('versions')).map(({ name }) => name);

    const allButPercent = (Object.keys(keyKinds) as KeyKind[]).filter((kind) => kind !== 'percent');

    describeConformance(
      'Vault, a secret for each key',
      () => ({
        ...common(),
        open: () => open('secret-per-key', '/v1/secret/data/conformance/keys'),
        place: secretPerKeyPlace(vault, 'conformance/keys'),
        keyKinds: allButPercent,
        shapes: ['text', 'fields'],
      }),
      { expectedSkips: notTried },
    );

    describeConformance(
      'Vault, fields of one secret',
      () => ({
        ...common(),
        open: () => open('fields', '/v1/secret/data/conformance/fields'),
        place: fieldsPlace(vault, 'conformance/fields'),
        keyKinds: allButPercent,
        shapes: ['text'],
      }),
      { expectedSkips: [...notTried, 'get-fields', 'get-soft-deleted', 'versions-soft-deleted', ...ofVersions] },
    );

    describe('what Vault’s own record says of all this', () => {
      it('is reading, listing and logging in, and nothing else', () => {
        const kinds = new Set(
          auditedRequests(vault).map(({ operation, path }) =>
            operation === 'read' || operation === 'list' ? operation : `${operation} ${path}`,
          ),
        );
        expect([...kinds].toSorted()).toEqual(['list', 'read', 'update auth/approle/login']);
      });
    });
  });
}
