import type { ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import { launchedStorage, storagePointer } from '../surfaces/consumptions.ts';
import type { ConsumedStorage } from '../surfaces/definition.ts';
import {
  type AnySurface,
  type LaunchableSurface,
  launchableOf,
  resourceOf,
  surfaceOf,
  surfaces,
} from '../surfaces/registry.ts';
import { textProblems } from '../surfaces/texts.ts';
import { type ConfigurationRow, type UseRow, usesOfConfiguration } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import type { Need } from './resolve.ts';
import { type AuthorisedWanted, collectWanted, wantedId } from './wanted.ts';

/** What a launch of a configuration wants, needs and is made of. */
export interface LaunchPlan {
  readonly surface: LaunchableSurface;
  readonly document: unknown;
  readonly wanted: readonly AuthorisedWanted[];
  readonly needs: readonly Need[];
  readonly storage: readonly ConsumedStorage[];
  /** Texts that stop it, whatever its values are. */
  readonly problems: readonly string[];
}

/** What a configuration wants, each with whoever authorised it. What nobody authorised is authorised by nobody. */
export function authorisedWanted(
  surface: AnySurface,
  document: unknown,
  configurationId: string,
  uses: readonly UseRow[],
  also: readonly string[] = [],
): AuthorisedWanted[] {
  const held = new Map(uses.map((use) => [`${use.pointer} ${use.reference}`, use]));
  return collectWanted(surface.fields(document), configurationId).map((wanted) => {
    const use = held.get(wantedId(wanted));
    const sourceId = use === undefined || use.target_source_id === '' ? null : use.target_source_id;
    return { ...wanted, authorisers: [use?.authorised_by ?? '', ...also], sourceId };
  });
}

/**
 * Steps 1 and, as far as the catalogue knows, 2: its own references, and those of the storage configurations it uses with
 * their own authorisers; who starts it needs to be allowed to, and CONSUME of each, as who saved it does.
 *
 * @param also whose USE each reference of its own needs beside its authoriser's
 * @throws StrongroomError `not_found` for what can't be launched; `launch_refused` when a storage configuration is gone
 */
export async function planLaunch(
  store: Store,
  domain: ScopeRef,
  row: ConfigurationRow,
  also: readonly string[] = [],
): Promise<LaunchPlan> {
  const surface = launchableOf(row.surface);
  const document = surface.parse(row.document);
  const own = authorisedWanted(surface, document, row.id, await usesOfConfiguration(store, row.id), also);
  const used = await launchedStorage(store, row.id, surface.consumes?.(document) ?? []);
  const wanted: AuthorisedWanted[] = [...own];
  const problems = textProblems(surface, document);
  const needs: Need[] = [{ action: surface.launch.action, resource: resourceOf(surface, assetOf(row, domain)) }];
  for (const [index, each] of used.entries()) {
    const definition = surfaceOf(each.row.surface);
    const uses = await usesOfConfiguration(store, each.row.id);
    const theirDocument = definition.parse(each.row.document);
    const theirs = authorisedWanted(definition, theirDocument, each.row.id, uses);
    problems.push(...textProblems(definition, theirDocument).map((problem) => `${each.row.name} ${problem}`));
    for (const item of theirs)
      wanted.push({
        ...item,
        name: `${each.row.name} ${item.name}`,
        pointer: storagePointer(index, item.pointer),
      });
    const resource = resourceOf(definition, assetOf(each.row, domain));
    const action = surfaces['storage-config'].actions.consume;
    needs.push({ action, resource }, { action, resource, by: each.authorisedBy });
  }
  return { surface, document, wanted, needs, storage: used.map(({ storage }) => storage), problems };
}
