import { assetPermissions, type AssetType } from '@strongroom/contract/roles';
import type { CallInput, CallResult, Client, ItemOf } from '@strongroom/sdk';
import { StrongroomError } from '@strongroom/sdk';
import type { Impact } from '../../commands/impact.ts';
import { isRecord, UsageError } from '../../errors.ts';
import { wholeOf } from '../../lists.ts';
import { changesBetween, type FieldChange } from '../diff.ts';
import {
  type ApplyContext,
  type Hit,
  hitBy,
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
  /** What the server says of it beforehand; absent: of what goes, nothing. */
  readonly try?: () => Promise<unknown>;
  /** Absent: it takes nothing from anybody. */
  readonly impact?: () => Promise<Impact>;
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
        impact: () => client.showBundleImpact({ params: { domain, bundle: name } }),
        obstacle: () => secretsIn(client, { domain, bundle: name }),
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
      ...(steps.length === 0 ? {} : { untried: 'what is granted on it and what is in it is checked when it is there' }),
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
  const update = { params, body: changed, ifMatch: before.revision };
  const ofFields = changes.length === 0 ? {} : await problemOf(client.updateBundle({ ...update, ...tried }));
  return {
    outcome: 'change',
    changes: [...changes, ...steps.map(({ change }) => change)],
    ...(ofFields.problem === undefined ? await firstProblem(steps) : ofFields),
    hits: [...(await ownerHits(client, params, changed)), ...(await stepHits(steps))],
    apply: async () => {
      if (changes.length > 0) await client.updateBundle(update);
      else await requireRevision(client, params, before);
      return finished(client, params, steps, 'changed');
    },
  };
}

/** Configurations and integrations in it may go before it does; secrets stay. */
async function secretsIn(client: Client, params: Params): Promise<string | undefined> {
  const assets = await wholeOf(client.items('listBundleAssets', { params, query: { limit: 200 } }));
  return assets.some(({ type }) => type === 'secret')
    ? 'it will be refused while secrets are named in it; first apply a manifest of it with assets: [] and --prune'
    : undefined;
}

type Params = { readonly domain: string; readonly bundle: string };

/** Of what is added to a bundle that is there, what the server has against the first that it refuses. */
async function firstProblem(steps: readonly Step[]): ReturnType<typeof problemOf> {
  for (const step of steps) {
    const found = step.try === undefined ? {} : await problemOf(step.try());
    if (found.problem !== undefined) return found;
  }
  return {};
}

async function stepHits(steps: readonly Step[]): Promise<readonly Hit[]> {
  const hits: Hit[] = [];
  for (const { change, impact } of steps)
    if (impact !== undefined) hits.push(...(await hitBy(impact, `${change.field} ${change.to ?? change.from ?? ''}`)));
  return hits;
}

async function ownerHits(
  client: Client,
  params: Params,
  { owner }: Readonly<Record<string, unknown>>,
): Promise<readonly Hit[]> {
  if (typeof owner !== 'string') return [];
  return hitBy(() => client.showBundleImpact({ params, query: { owner } }), 'owner');
}

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
    impact: () => client.showBundleGrantImpact({ params: { ...params, grant: id } }),
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
    ...(before === undefined
      ? {}
      : {
          impact: () =>
            client.showBundleGrantImpact({
              params: { ...params, grant: before.id },
              query: { permissions: permissions.join(',') },
            }),
        }),
    do: () => client.addBundleGrant({ params, body: grant }),
    try: () => client.addBundleGrant({ params, body: grant, ...tried }),
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
    impact: () => client.showBundleAssetImpact({ params: { ...params, asset: id } }),
    do: () => client.deleteBundleAsset({ params: { ...params, asset: id } }),
  }));
  return [...added, ...removed];
}

function addAsset(client: Client, params: Params, asset: NewAsset): Step {
  return {
    change: { field: 'assets', to: assetText(asset) },
    impact: () => client.showBundleAdditionImpact({ params, query: asset }),
    do: () => client.addBundleAsset({ params, body: asset }),
    try: () => client.addBundleAsset({ params, body: asset, ...tried }),
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
    // The server checks all of it; of a bundle that is still to be made it can't, and half of one helps nobody.
    const known: readonly unknown[] = isAssetType(assetType) ? assetPermissions[assetType] : [];
    if (known.length === 0)
      throw new UsageError(`${where}: ${assetType} is no asset type`, `They are ${assetTypes.join(', ')}.`);
    if (permissions.length === 0 || !permissions.every((each) => known.includes(each)))
      throw new UsageError(`${where}: permissions on ${assetType} are ${known.join(', ')}`);
    return grant as unknown as NewGrant;
  });
}

const assetTypes = Object.keys(assetPermissions);

function isAssetType(text: string): text is AssetType {
  return assetTypes.includes(text);
}

function assetsIn(value: unknown, where: string): NewAsset[] {
  return recordsIn(value, 'assets', where).map((asset) => {
    if (asset['type'] !== undefined && asset['type'] !== 'secret')
      throw new UsageError(
        `${where}: assets of a manifest are secrets`,
        'A configuration or an integration has bundle: in its own manifest.',
      );
    const { key, prefix } = asset;
    if ((key === undefined) === (prefix === undefined) || typeof (key ?? prefix) !== 'string')
      throw new UsageError(`${where}: an asset has either a key or a prefix`);
    return { type: 'secret', ...asset } as unknown as NewAsset;
  });
}

function recordsIn(value: unknown, field: string, where: string): Record<string, unknown>[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every(isRecord)) throw new UsageError(`${where}: ${field} is no list of objects`);
  return value;
}
