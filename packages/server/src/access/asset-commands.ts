import { StrongroomError, type AssetType } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { bundleObject, requireBundle, type BundleChange } from './bundle-commands.ts';
import { accessEvent, requireDomain, type DomainChange } from './command-parts.ts';
import { requireRoom } from './limits.ts';

export interface SelectorRecord {
  readonly id: string;
  readonly bundleId: string;
  readonly selectorScope: 'domain' | 'global';
  /** Folded. */
  readonly selector: string;
  readonly isPrefix: boolean;
}

export interface AddSelectorArgs extends BundleChange {
  readonly id: string;
  readonly selectorScope: 'domain' | 'global';
  readonly selector: string;
  readonly isPrefix: boolean;
  /** Selectors of the domain. */
  readonly max: number;
}

/** @throws StrongroomError `not_found`, `already_exists`, `limit_exceeded` */
async function addSelector(context: CommandContext, args: AddSelectorArgs): Promise<SelectorRecord> {
  const bundle = await requireBundle(context, args);
  await requireRoom(context, 'bundle_assets', bundle.scope_id, args.max);
  const inserted = await context.db
    .insertInto('bundle_assets')
    .values({
      id: args.id,
      bundle_id: bundle.id,
      scope_id: bundle.scope_id,
      asset_type: 'secret',
      selector_scope: args.selectorScope,
      selector: args.selector,
      is_prefix: args.isPrefix ? 1 : 0,
      created_at: context.now,
      created_by: args.actor.principal,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1) throw selectorExists(bundle.name);
  await context.bumpAuthorisation();
  context.audit(accessEvent(args, bundleObject(bundle), ['add-asset', ...selectorWords(args)]));
  return {
    id: args.id,
    bundleId: bundle.id,
    selectorScope: args.selectorScope,
    selector: args.selector,
    isPrefix: args.isPrefix,
  };
}

export interface MoveSelectorArgs extends DomainChange {
  readonly id: string;
  readonly from: string;
  readonly to: string;
}

/** @throws StrongroomError `not_found`, `already_exists` when the other bundle names it, too */
async function moveSelector(context: CommandContext, args: MoveSelectorArgs): Promise<SelectorRecord> {
  const from = await requireBundle(context, { ...args, bundleId: args.from });
  const to = await requireBundle(context, { ...args, bundleId: args.to });
  const row = await context.db
    .selectFrom('bundle_assets')
    .selectAll()
    .where('id', '=', args.id)
    .where('bundle_id', '=', from.id)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  const taken = await context.db
    .selectFrom('bundle_assets')
    .select('id')
    .where('bundle_id', '=', to.id)
    .where('asset_type', '=', row.asset_type)
    .where('selector_scope', '=', row.selector_scope)
    .where('selector', '=', row.selector)
    .where('is_prefix', '=', row.is_prefix)
    .executeTakeFirst();
  if (taken !== undefined) throw selectorExists(to.name);
  await context.db.updateTable('bundle_assets').set({ bundle_id: to.id }).where('id', '=', row.id).execute();
  await context.bumpAuthorisation();
  const moved = { selectorScope: row.selector_scope, selector: row.selector, isPrefix: row.is_prefix === 1 };
  context.audit(accessEvent(args, bundleObject(to), ['move-asset', `from:${from.name}`, ...selectorWords(moved)]));
  return { id: row.id, bundleId: to.id, ...moved };
}

/** @throws StrongroomError `not_found` */
async function deleteSelector(context: CommandContext, args: BundleChange & { readonly id: string }): Promise<void> {
  const bundle = await requireBundle(context, args);
  const row = await context.db
    .deleteFrom('bundle_assets')
    .where('id', '=', args.id)
    .where('bundle_id', '=', bundle.id)
    .returning(['selector_scope', 'selector', 'is_prefix'])
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  await context.bumpAuthorisation();
  const words = selectorWords({
    selectorScope: row.selector_scope,
    selector: row.selector,
    isPrefix: row.is_prefix === 1,
  });
  context.audit(accessEvent(args, bundleObject(bundle), ['delete-asset', ...words]));
}

export interface MoveConfigurationArgs extends DomainChange {
  /** An integration, or a configuration of whichever kind. */
  readonly type: AssetType;
  readonly configurationId: string;
  readonly from: string;
  readonly to: string;
}

export interface MovedConfiguration {
  readonly id: string;
  readonly type: AssetType;
  readonly name: string;
}

/** @throws StrongroomError `not_found`; `version_conflict` when it is no longer in the bundle that was decided about */
async function moveConfiguration(context: CommandContext, args: MoveConfigurationArgs): Promise<MovedConfiguration> {
  await requireDomain(context, args.scope.id);
  const to = await requireBundle(context, { ...args, bundleId: args.to });
  const row = args.type === 'integration' ? await findIntegration(context, args) : await findMoved(context, args);
  if (row === undefined) throw new StrongroomError('not_found');
  if (row.bundle_id !== args.from) throw new StrongroomError('version_conflict');
  const table = args.type === 'integration' ? 'integrations' : 'configurations';
  await context.db.updateTable(table).set({ bundle_id: to.id }).where('id', '=', row.id).execute();
  await context.bumpAuthorisation();
  const moved = { type: row.type, id: row.id, name: row.name };
  context.audit(accessEvent(args, moved, ['move-asset', `from:${args.from}`, `to:${to.name}`]));
  return moved;
}

type PlacedRow = MovedConfiguration & { readonly bundle_id: string | null };

async function findMoved(context: CommandContext, args: MoveConfigurationArgs): Promise<PlacedRow | undefined> {
  const row = await context.db
    .selectFrom('configurations')
    .select(['id', 'name', 'bundle_id'])
    .where('id', '=', args.configurationId)
    .where('scope_id', '=', args.scope.id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return row === undefined ? undefined : { ...row, type: args.type };
}

async function findIntegration(context: CommandContext, args: MoveConfigurationArgs): Promise<PlacedRow | undefined> {
  const row = await context.db
    .selectFrom('integrations')
    .select(['id', 'name', 'bundle_id'])
    .where('id', '=', args.configurationId)
    .where('scope_id', '=', args.scope.id)
    .executeTakeFirst();
  return row === undefined ? undefined : { ...row, type: 'integration' };
}

export function selectorExists(bundle: string): StrongroomError {
  return new StrongroomError('already_exists', { detail: `Bundle ${bundle} names this already.` });
}

function selectorWords(selector: Pick<SelectorRecord, 'selectorScope' | 'selector' | 'isPrefix'>): readonly string[] {
  return [`scope:${selector.selectorScope}`, `${selector.isPrefix ? 'prefix' : 'key'}:${selector.selector}`];
}

export const assetCommands = {
  'access.addSelector': addSelector,
  'access.moveSelector': moveSelector,
  'access.deleteSelector': deleteSelector,
  'access.moveConfiguration': moveConfiguration,
};
