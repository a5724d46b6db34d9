import { type FieldError, formatReference, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AccessSnapshot, AssetRef, ScopeRef } from '../access/types.ts';
import { sees } from '../access/decide.ts';
import type { Store } from '../store/store.ts';
import type { NewConsumption } from './commands.ts';
import type { AnySurface } from './registry.ts';
import { resourceOf, surfaces } from './registry.ts';
import type { ConsumedPlace, ConsumedStorage } from './definition.ts';
import { type ConfigurationRow, configurationOf, findConfiguration } from './rows.ts';
import { assetOf } from './views.ts';

/** What jobs, clusters and notebooks name in `storageConfigs`. */
const consumed: AnySurface & { readonly type: 'storage-config' } = surfaces['storage-config'];
const consumeAction = surfaces['storage-config'].actions.consume;

/** A storage configuration that a configuration uses, and on whose authority. */
export type HeldConsumption = NewConsumption;

export interface CheckedConsumptions {
  readonly consumptions: readonly NewConsumption[];
  readonly problems: readonly FieldError[];
}

/** What a configuration uses so far. */
export async function consumptionsOf(store: Store, configurationId: string): Promise<HeldConsumption[]> {
  return store.db
    .selectFrom('consumptions')
    .select(['consumed_id', 'authorised_by'])
    .where('configuration_id', '=', configurationId)
    .orderBy('consumed_id')
    .execute();
}

/**
 * Decides each storage configuration that a save names: new ones, and all when the save changes what could redirect a
 * value, need the saver's CONSUME.
 */
export async function checkConsumptions(
  store: Store,
  access: AccessService,
  save: {
    readonly domain: ScopeRef;
    readonly snapshot: AccessSnapshot;
    readonly names: readonly string[];
    readonly held: readonly HeldConsumption[];
    readonly changesAuthority: boolean;
  },
): Promise<CheckedConsumptions> {
  const { domain, snapshot, names, held, changesAuthority } = save;
  const consumptions: NewConsumption[] = [];
  const problems: FieldError[] = [];
  for (const [index, name] of names.entries()) {
    const row = await findConfiguration(store, domain.id, consumed.type, name);
    const before = held.find(({ consumed_id: id }) => id === row?.id);
    if (row !== undefined && before !== undefined && !changesAuthority) {
      consumptions.push(before);
      continue;
    }
    const problem = row === undefined ? 'absent' : decideConsume(access, snapshot, assetOf(row, domain));
    if (row !== undefined && problem === null)
      consumptions.push({ consumed_id: row.id, authorised_by: before?.authorised_by ?? snapshot.principal.id });
    else problems.push(problemAt(`/storageConfigs/${index}`, name, domain, problem ?? 'absent'));
  }
  return { consumptions, problems };
}

function decideConsume(access: AccessService, snapshot: AccessSnapshot, asset: AssetRef): 'absent' | 'missing' | null {
  const resource = resourceOf(consumed, asset);
  if (access.decide(snapshot, consumeAction, resource).allow) return null;
  return sees(snapshot, resource) ? 'missing' : 'absent';
}

function problemAt(pointer: string, name: string, domain: ScopeRef, problem: 'absent' | 'missing'): FieldError {
  return problem === 'missing'
    ? {
        pointer,
        code: 'permission_missing',
        message: `It needs CONSUME of the storage configuration ${name}.`,
        fixableBy: [`MANAGE_ACCESS in ${domain.name}`],
      }
    : {
        pointer,
        code: 'reference_unresolved',
        message: `There is no storage configuration ${name}, or it is not yours.`,
        fixableBy: [],
      };
}

/** @throws StrongroomError `permission_missing` when CONSUME is all that is missing, else `reference_unresolved` */
export function refuseConsumptions(problems: readonly FieldError[]): void {
  if (problems.length === 0) return;
  const isMissing = problems.every(({ code }) => code === 'permission_missing');
  throw new StrongroomError(isMissing ? 'permission_missing' : 'reference_unresolved', {
    detail: problems.map(({ message }) => message).join(' '),
    errors: [...problems],
  });
}

/** One of the storage configurations that a launch uses. */
export interface LaunchedStorage {
  readonly row: ConfigurationRow;
  readonly authorisedBy: string;
  readonly storage: ConsumedStorage;
}

/**
 * The storage configurations that a configuration names, as they are now.
 * @throws StrongroomError `launch_refused` when one is gone, or was made anew since the configuration was saved
 */
export async function launchedStorage(
  store: Store,
  configurationId: string,
  names: readonly string[],
): Promise<LaunchedStorage[]> {
  return (await consumedRows(store, configurationId, names)).map(({ name, row, authorisedBy }, index) => {
    if (row === null)
      throw new StrongroomError('launch_refused', {
        detail: `The storage configuration ${name} was deleted since this was saved, or made anew; save it again.`,
      });
    return { row, authorisedBy, storage: storageAt(row, index) };
  });
}

/** A storage configuration that another one names; `row` is `null` when it is gone, or was made anew. */
export interface ConsumedRow {
  readonly name: string;
  readonly row: ConfigurationRow | null;
  readonly authorisedBy: string;
}

/** The storage configurations that a configuration names, in their order, and on whose authority. */
export async function consumedRows(
  store: Store,
  configurationId: string,
  names: readonly string[],
): Promise<ConsumedRow[]> {
  if (names.length === 0) return [];
  const held = await consumptionsOf(store, configurationId);
  const rows = await Promise.all(held.map(({ consumed_id: id }) => configurationOf(store, id)));
  return names.map((name) => {
    const row = rows.find((each) => each?.name === name);
    const authorisedBy = held.find(({ consumed_id: id }) => id === row?.id)?.authorised_by;
    return row === undefined || row.deleted_at !== null || authorisedBy === undefined
      ? { name, row: null, authorisedBy: '' }
      : { name, row, authorisedBy };
  });
}

function storageAt(row: ConfigurationRow, index: number): ConsumedStorage {
  const document = consumed.parse(row.document);
  const { basePath: _filled, ...settings } = surfaces['storage-config'].storage(
    document as Parameters<(typeof surfaces)['storage-config']['storage']>[0],
  );
  const places = consumed.fields(document).map(({ name, pointer: own, content }): [string, ConsumedPlace] => {
    const pointer = storagePointer(index, own);
    if (content.kind === 'text') return [name, { pointer, content }];
    return [name, { pointer, reference: formatReference(content.reference) }];
  });
  return { ...settings, name: row.name, places: Object.fromEntries(places) };
}

/** A pointer into the storage configuration at a place of `storageConfigs`, as a pointer of who uses it. */
export function storagePointer(index: number, pointer: string): string {
  return `/storageConfigs/${index}${pointer}`;
}
