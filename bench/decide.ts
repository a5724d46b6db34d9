// Decisions a second for somebody with a thousand grants on bundles, all of one domain.
import { decide } from '../packages/server/src/access/decide.ts';
import type {
  AccessSnapshot,
  BundleGrant,
  DomainStanding,
  Resource,
  ScopeRef,
} from '../packages/server/src/access/types.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const grants = 1_000;
const batch = 200_000;
const rounds = 15;

const scope: ScopeRef = { id: 'dom_bench', kind: 'domain', name: 'bench' };
const standing: DomainStanding = {
  presets: [],
  permissions: new Set(['LIST_SECRETS']),
  bundleGrants: new Map(
    Array.from({ length: grants }, (_, n): [string, BundleGrant[]] => [
      `bnd_${n}`,
      [{ bundleId: `bnd_${n}`, assetType: 'secret', permissions: ['VIEW', 'USE'] }],
    ]),
  ),
  defaultBundleId: 'bnd_default',
  ownedBundleIds: new Set(),
};
const snapshot: AccessSnapshot = {
  revision: 1,
  principal: { id: 'usr_bench', kind: 'user', isDisabled: false },
  roles: new Set(),
  actorIds: new Set(['usr_bench']),
  domains: new Map([[scope.id, standing]]),
};

/** For each grant a secret in its bundle, and one in a bundle of which there is no grant. */
const questions: readonly { readonly resource: Resource; readonly isAllowed: boolean }[] = Array.from(
  { length: grants },
  (_, n) =>
    [`bnd_${n}`, `other_${n}`].map((bundle, index) => ({
      isAllowed: index === 0,
      resource: {
        kind: 'asset' as const,
        asset: { type: 'secret' as const, id: `sec_${n}`, name: `key-${n}`, scope, bundleIds: [bundle] },
      },
    })),
).flat();

function decisionsPerSecond(): number {
  const started = performance.now();
  for (let asked = 0; asked < batch;)
    for (const { resource, isAllowed } of questions) {
      asked += 1;
      if (decide(snapshot, 'secret.use', resource).allow !== isAllowed)
        throw new Error('A wrong decision was measured');
    }
  return batch / ((performance.now() - started) / 1000);
}

export async function run(): Promise<BenchRow[]> {
  const value = median(Array.from({ length: rounds }, decisionsPerSecond));
  return [
    {
      name: `decide with ${grants} grants`,
      value,
      unit: 'decisions/s',
      goal: '≥ 1,000,000',
      met: value >= 1_000_000,
    },
  ];
}
