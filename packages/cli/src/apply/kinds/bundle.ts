import type { CallInput, CallResult, Client, ItemOf } from '@strongroom/sdk';
import { StrongroomError } from '@strongroom/sdk';
import { isRecord, UsageError } from '../../errors.ts';
import { wholeOf } from '../../lists.ts';
import { changesBetween, type FieldChange } from '../diff.ts';
import {
  type ApplyContext,
  managerOf,
  namedChanges,
  type ObjectKind,
  type Planned,
  problemOf,
  refuseUnknown,
  tried,
} from '../kind.ts';
import type { Manifest } from '../manifest.ts';

type Bundle = CallResult<'showBundle'>;
type Grant = ItemOf<'listBundleGrants'>;
type Asset = ItemOf<'listBundleAssets'>;
type NewGrant = CallInput<'addBundleGrant'>['body'];
type NewAsset = CallInput<'addBundleAsset'>['body'];

const own = ['description', 'owner'];

/** A step that makes the bundle's content as its manifest says. */
interface Step {
  readonly change: FieldChange;
  readonly do: () => Promise<unknown>;
}

/**
 * A bundle with its secrets and what is granted on it. Content that the manifest has not stays, unless an apply that prunes
 * made the bundle.
 */
export const bundleKind: ObjectKind = {
  kind: 'bundle',
  word: 'bundle',
  place: 'domain',
  namedBy: ['name'],
  rank: 40,
  plan: planBundle,
  managed: async ({ client, lists, manager }, { scope, domain }) => {
    if (scope !== 'domain') return [];
    return (await lists.bundles(domain))
      .filter((each) => each.managedBy === manager)
      .map(({ name, revision }) => ({
        name,
        // What is in it falls back to the default bundle, which more people may use: that is for somebody to decide.
        remove: () => client.deleteBundle({ params: { domain, bundle: name }, ifMatch: revision }),
      }));
  },
};

async function planBundle(context: ApplyContext, manifest: Manifest): Promise<Planned> {
  const { client, lists, manager } = context;
  const { domain, name, body, where } = manifest;
  refuseUnknown(manifest, ['name', ...own, 'grants', 'assets']);
  const wantedGrants = grantsIn(body['grants'], where);
  const wantedAssets = assetsIn(body['assets'], where);
  const before = (await lists.bundles(domain)).find((each) => each.name === name);
  const params = { domain, bundle: name };
  if (before === undefined) {
    const steps = [
      ...wantedGrants.map((grant) => addGrant(client, params, grant, undefined)),
      ...wantedAssets.map((asset) => addAsset(client, params, asset)),
    ];
    const fields = Object.fromEntries(
      own.flatMap((field) => (body[field] === undefined ? [] : [[field, body[field]]])),
    );
    const input = { params: { domain }, body: { name, ...fields, managedBy: manifest.managedBy ?? manager } };
    return {
      outcome: 'create',
      changes: [...changesBetween({}, fields), ...steps.map(({ change }) => change)],
      ...(await problemOf(client.createBundle({ ...input, ...tried }))),
      apply: async () => {
        await client.createBundle(input);
        return finished(client, params, steps, 'created');
      },
    };
  }
  managerOf(manifest, before.managedBy, context);
  const prunes = context.prunes && before.managedBy === manager;
  const grants = await wholeOf(client.items('listBundleGrants', { params, query: { limit: 200 } }));
  const assets = await wholeOf(client.items('listBundleAssets', { params, query: { limit: 200 } }));
  const { changes, body: changed } = namedChanges(body, before, own);
  const steps = [
    ...grantSteps(client, params, grants, wantedGrants, prunes && body['grants'] !== undefined),
    ...assetSteps(client, params, assets, wantedAssets, prunes && body['assets'] !== undefined),
  ];
  if (changes.length + steps.length === 0)
    return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: before, revision: before.revision } };
  return {
    outcome: 'change',
    changes: [...changes, ...steps.map(({ change }) => change)],
    apply: async () => {
      if (changes.length > 0) await client.updateBundle({ params, body: changed, ifMatch: before.revision });
      else await requireRevision(client, params, before);
      return finished(client, params, steps, 'changed');
    },
  };
}

type Params = { readonly domain: string; readonly bundle: string };

async function finished(client: Client, params: Params, steps: readonly Step[], outcome: 'created' | 'changed') {
  for (const step of steps) await step.do();
  const object = await client.showBundle({ params });
  return { outcome, object, revision: object.revision };
}

/** Its content has no revision of its own. @throws StrongroomError `version_conflict` */
async function requireRevision(client: Client, params: Params, before: Bundle): Promise<void> {
  const { revision } = await client.showBundle({ params });
  if (revision !== before.revision)
    throw new StrongroomError('version_conflict', {
      detail: `The bundle ${before.name} was changed since the plan was made.`,
    });
}

function grantSteps(
  client: Client,
  params: Params,
  held: readonly Grant[],
  wanted: readonly NewGrant[],
  prunes: boolean,
): Step[] {
  const fieldOf = (grant: Pick<Grant, 'principal' | 'assetType'>) =>
    `grants.${grant.principal.toLowerCase()} ${grant.assetType}`;
  const before = new Map(held.map((grant) => [fieldOf(grant), grant]));
  const added = wanted.flatMap((grant): Step[] => {
    const is = before.get(fieldOf(grant));
    before.delete(fieldOf(grant));
    const isSame = is !== undefined && textOf(is.permissions) === textOf(grant.permissions);
    return isSame ? [] : [addGrant(client, params, grant, is)];
  });
  if (!prunes) return added;
  const removed = [...before].map(([field, { id, permissions }]): Step => ({
    change: { field, from: textOf(permissions) },
    do: () => client.deleteBundleGrant({ params: { ...params, grant: id } }),
  }));
  return [...added, ...removed];
}

function addGrant(client: Client, params: Params, grant: NewGrant, before: Grant | undefined): Step {
  const { principal, assetType, permissions } = grant;
  return {
    change: {
      field: `grants.${principal.toLowerCase()} ${assetType}`,
      ...(before === undefined ? {} : { from: textOf(before.permissions) }),
      to: textOf(permissions),
    },
    do: () => client.addBundleGrant({ params, body: grant }),
  };
}

function textOf(permissions: readonly string[]): string {
  return permissions.toSorted().join(' ');
}

function assetSteps(
  client: Client,
  params: Params,
  held: readonly Asset[],
  wanted: readonly NewAsset[],
  prunes: boolean,
): Step[] {
  // Configurations and integrations name their bundle themselves.
  const before = new Map(held.filter(({ type }) => type === 'secret').map((asset) => [assetText(asset), asset]));
  const added = wanted.flatMap((asset): Step[] =>
    before.delete(assetText(asset)) ? [] : [addAsset(client, params, asset)],
  );
  if (!prunes) return added;
  const removed = [...before].map(([field, { id }]): Step => ({
    change: { field: 'assets', from: field },
    do: () => client.deleteBundleAsset({ params: { ...params, asset: id } }),
  }));
  return [...added, ...removed];
}

function addAsset(client: Client, params: Params, asset: NewAsset): Step {
  return {
    change: { field: 'assets', to: assetText(asset) },
    do: () => client.addBundleAsset({ params, body: asset }),
  };
}

function assetText({ scope = 'domain', key, prefix }: Pick<Asset, 'scope' | 'key' | 'prefix'>): string {
  return `${scope} ${key === undefined ? `prefix ${prefix ?? ''}` : `key ${key}`}`.toLowerCase().trimEnd();
}

function grantsIn(value: unknown, where: string): NewGrant[] {
  return recordsIn(value, 'grants', where).map((grant) => {
    const { principal, assetType, permissions } = grant;
    if (typeof principal !== 'string' || typeof assetType !== 'string' || !Array.isArray(permissions))
      throw new UsageError(`${where}: a grant needs principal, assetType and permissions`);
    // Their words are the server's to check.
    return grant as unknown as NewGrant;
  });
}

function assetsIn(value: unknown, where: string): NewAsset[] {
  return recordsIn(value, 'assets', where).map((asset) => {
    if (asset['type'] !== undefined && asset['type'] !== 'secret')
      throw new UsageError(
        `${where}: assets of a manifest are secrets`,
        'A configuration or an integration has bundle: in its own manifest.',
      );
    return { type: 'secret', ...asset } as unknown as NewAsset;
  });
}

function recordsIn(value: unknown, field: string, where: string): Record<string, unknown>[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every(isRecord)) throw new UsageError(`${where}: ${field} is no list of objects`);
  return value;
}
