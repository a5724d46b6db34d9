import { exactKey, StrongroomError } from '@strongroom/contract/core';
import type { Expectation } from '@strongroom/backends';
import type { AuditEvent } from '../audit/event.ts';
import {
  countKeys,
  create,
  dropOldVersions,
  insertVersion,
  type SealedVersion,
  setValue,
  storeChanged,
  taken,
} from '../secrets/commands.ts';
import { liveSecret } from '../secrets/live-secret.ts';
import { deletedSecret, purge } from '../secrets/removal-commands.ts';
import type { CommandContext, IdempotencyKey } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { forgetFound, foundCommands } from './found-commands.ts';
import { legacyTableCommands } from './legacy-table/commands.ts';
import { expectationOf, formatPlan, parsePlan, sealedIn, secretIdOf, type WritePlan } from './plan.ts';

export type IntentRow = Tables['write_intents'];
type SecretRow = Tables['secrets'];

export interface NewIntent {
  readonly id: string;
  readonly scopeId: string;
  readonly sourceId: string;
  readonly key: string;
  readonly foldedKey: string;
  readonly plan: WritePlan;
  readonly lifetimeMilliseconds: number;
  /** Claimed with this command, and free again when the intent is abandoned. */
  readonly idempotency: Pick<IdempotencyKey, 'subject' | 'route' | 'key'> | null;
}

export interface Begun {
  readonly id: string;
  /** What the write in the backend expects there; null: nothing is there, and nothing is to be done. */
  readonly expect: Expectation | null;
}

/**
 * Writes down what is meant, after checking all that the commit will check.
 * @throws StrongroomError those of the change itself; `version_conflict` while another write of the key is pending
 */
async function begin(context: CommandContext, args: NewIntent): Promise<Begun> {
  const { plan } = args;
  await countKeys(context, args.scopeId, 0, Infinity);
  const source = await context.db
    .selectFrom('sources')
    .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
    .select(['sources.type', 'scopes.deleted_at'])
    .where('sources.id', '=', args.sourceId)
    .executeTakeFirst();
  if (source === undefined || (source.deleted_at !== null && plan.kind !== 'purge'))
    throw new StrongroomError('not_found');
  if (source.type === 'DATABASE') throw storeChanged();
  const expect = await checkPlan(context, args);
  const inserted = await context.db
    .insertInto('write_intents')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      source_id: args.sourceId,
      secret_id: secretIdOf(plan),
      key: args.key,
      folded_key: args.foldedKey,
      kind: plan.kind,
      plan: formatPlan(plan),
      idempotency: args.idempotency === null ? null : JSON.stringify(args.idempotency),
      state: 'pending',
      expires_at: context.now + args.lifetimeMilliseconds,
      created_at: context.now,
      ended_at: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1)
    throw new StrongroomError('version_conflict', { detail: 'Another write of this key is under way.' });
  return { id: args.id, expect };
}

async function checkPlan(context: CommandContext, { plan, ...args }: NewIntent): Promise<Expectation | null> {
  if (plan.kind === 'create') {
    await checkRoom(context, args, plan.args.maxKeysPerScope);
    return { kind: 'absent' };
  }
  if (plan.kind === 'purge') return expected(context, await deletedSecret(context, plan.args.secretId), 'purge');
  const row = await liveSecret(context, plan.args.secretId, plan.args.expectedRevision);
  if (row.current_epoch !== plan.args.fromEpoch || row.current_version !== plan.args.fromVersion)
    throw new StrongroomError('version_conflict', { detail: 'The secret got another value at the same time.' });
  return expected(context, row, 'set');
}

async function checkRoom(
  context: CommandContext,
  args: Pick<NewIntent, 'scopeId' | 'sourceId' | 'key' | 'foldedKey'>,
  maxKeys: number,
): Promise<void> {
  const holder = await context.db
    .selectFrom('secrets')
    .select(['key', 'deleted_at'])
    .where('scope_id', '=', args.scopeId)
    .where('source_id', '=', args.sourceId)
    .where('folded_key', 'in', [args.foldedKey, exactKey(args.key)])
    .executeTakeFirst();
  if (holder !== undefined) throw taken(args.key, holder);
  const count = await context.db
    .selectFrom('secret_counts')
    .select('secrets')
    .where('scope_id', '=', args.scopeId)
    .executeTakeFirst();
  if ((count?.secrets ?? 0) >= maxKeys)
    throw new StrongroomError('limit_exceeded', {
      detail: `The scope holds ${maxKeys} secrets, which is its limit (limits.keysPerScope).`,
    });
}

async function expected(context: CommandContext, row: SecretRow, kind: 'set' | 'purge'): Promise<Expectation | null> {
  if (row.store_state === 'missing') return kind === 'set' ? { kind: 'absent' } : null;
  const version = await context.db
    .selectFrom('secret_versions')
    .select(['backend_version', 'intent_id'])
    .where('secret_id', '=', row.id)
    .where('epoch', '=', row.current_epoch)
    .where('version', '=', row.current_version)
    .executeTakeFirstOrThrow();
  return expectationOf({ backendVersion: version.backend_version, intentId: version.intent_id });
}

/**
 * The backend has done its part. Also for an intent that was given up, when its write arrived all the same.
 * @throws StrongroomError those of the change itself: then the backend's part is to be undone
 */
async function commit(
  context: CommandContext,
  args: { readonly id: string; readonly backendVersion: string | null; readonly isSettled: boolean },
): Promise<void> {
  const row = await intent(context, args.id);
  if (row.state === 'committed') return;
  const plan = parsePlan(row.plan);
  const kept = { backendVersion: args.backendVersion, intentId: args.id };
  if (plan.kind === 'create') await create(context, { ...plan.args, sealed: sealedIn(plan, kept) });
  else if (plan.kind === 'purge') await purge(context, plan.args);
  else await setValue(context, { ...plan.args, expectedRevision: null, sealed: sealedIn(plan, kept) });
  await end(context, args.id, 'committed');
  context.audit(args.isSettled ? withDetail(plan.audit, { settled: true }) : plan.audit);
}

/** Nothing came of it. @param args.result the code of the error, or what was found */
async function abandon(
  context: CommandContext,
  args: { readonly id: string; readonly result: string },
): Promise<{ readonly isAbandoned: boolean }> {
  const row = await intent(context, args.id);
  if (row.state !== 'pending') return { isAbandoned: row.state === 'abandoned' };
  await end(context, args.id, 'abandoned');
  if (row.idempotency !== null) {
    const { subject, route, key } = JSON.parse(row.idempotency) as Pick<IdempotencyKey, 'subject' | 'route' | 'key'>;
    await context.db
      .deleteFrom('idempotency')
      .where('subject', '=', subject)
      .where('route', '=', route)
      .where('key', '=', key)
      .execute();
  }
  context.audit(withDetail({ ...parsePlan(row.plan).audit, outcome: 'failed' }, { result: args.result }));
  return { isAbandoned: true };
}

async function intent(context: CommandContext, id: string): Promise<IntentRow> {
  const row = await context.db.selectFrom('write_intents').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  return row;
}

async function end(context: CommandContext, id: string, state: 'committed' | 'abandoned'): Promise<void> {
  await context.db.updateTable('write_intents').set({ state, ended_at: context.now }).where('id', '=', id).execute();
}

function withDetail(event: AuditEvent, detail: Readonly<Record<string, string | boolean>>): AuditEvent {
  return { ...event, detail: { ...event.detail, ...detail } };
}

export interface Finding {
  readonly secretId: string;
  /** The version that was compared; nothing is marked when it is no longer the current one. */
  readonly epoch: number;
  readonly version: number;
  readonly found:
    | { readonly kind: 'missing' }
    /** Back as it was, after it was missing. */
    | { readonly kind: 'as-left' }
    | {
        readonly kind: 'foreign-edit';
        /** Null where it can't be made a version, because the keys of the scope were destroyed. */
        readonly edited: Omit<SealedVersion, 'epoch' | 'version' | 'envelope' | 'termId' | 'copiedFrom'> | null;
      };
}

/** What was found in the backend goes into the catalogue; an edit from outside as a version of its own. */
async function mark(context: CommandContext, args: Finding): Promise<{ readonly isMarked: boolean }> {
  const { found } = args;
  const row = await context.db.selectFrom('secrets').selectAll().where('id', '=', args.secretId).executeTakeFirst();
  const isCurrent = row !== undefined && row.current_epoch === args.epoch && row.current_version === args.version;
  if (!isCurrent || (await isBeingWritten(context, row.id))) return { isMarked: false };
  const state = found.kind === 'as-left' ? null : found.kind;
  const edit = found.kind === 'foreign-edit' ? found.edited : null;
  if (edit === null && row.store_state === state) return { isMarked: true };
  let version: Partial<SecretRow> = {};
  if (edit !== null) {
    const edited = { ...edit, epoch: context.epoch, version: row.current_version + 1 };
    await insertVersion(context, row.id, { ...edited, envelope: null, termId: null, copiedFrom: null }, 'outside');
    await dropOldVersions(context, row.id, row.keep_versions);
    version = {
      current_epoch: edited.epoch,
      current_version: edited.version,
      shape: edited.shape,
      field_names: edited.fieldNames,
      rotated_at: context.now,
      updated_at: context.now,
      updated_by: 'outside',
    };
  }
  await context.db
    .updateTable('secrets')
    .set({ ...version, store_state: state, revision: row.revision + 1 })
    .where('id', '=', row.id)
    .execute();
  context.audit({
    principal: 'system',
    principalName: 'system',
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: row.scope_id, name: '' },
    object: { type: 'secret', id: row.id, name: row.key },
    because: [found.kind],
    detail: { change: 'mark' },
  });
  return { isMarked: true };
}

async function isBeingWritten(context: CommandContext, secretId: string): Promise<boolean> {
  const pending = await context.db
    .selectFrom('write_intents')
    .select('id')
    .where('secret_id', '=', secretId)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  return pending !== undefined;
}

/** Ended intents are kept while a put of theirs, or a repeat of their request, can still arrive. */
async function sweep(
  context: CommandContext,
  args: { readonly keptMilliseconds: number; readonly limit: number },
): Promise<{ readonly removed: number }> {
  const rows = await context.db
    .selectFrom('write_intents')
    .select('id')
    .where('ended_at', '<=', context.now - args.keptMilliseconds)
    .orderBy('ended_at')
    .limit(args.limit)
    .execute();
  if (rows.length > 0)
    await context.db
      .deleteFrom('write_intents')
      .where(
        'id',
        'in',
        rows.map(({ id }) => id),
      )
      .execute();
  return { removed: rows.length };
}

export interface ChooseStore {
  readonly scopeId: string;
  readonly type: 'DATABASE' | 'KUBERNETES' | 'VAULT';
  readonly audit: AuditEvent;
}

/**
 * Where the values of a scope will be. It must hold none yet, deleted ones included; what another program left, and nobody uses,
 * is none of its own.
 * @throws StrongroomError `not_found`, `state_conflict`
 */
export async function chooseStore(
  context: CommandContext,
  args: ChooseStore,
): Promise<{ readonly isChanged: boolean }> {
  await countKeys(context, args.scopeId, 0, Infinity);
  const { sourceId, isChanged } = await requireChoosable(context, args.scopeId, args.type);
  if (!isChanged) return { isChanged };
  await forgetFound(context, args.scopeId, sourceId);
  await context.db.updateTable('sources').set({ type: args.type }).where('id', '=', sourceId).execute();
  context.audit(args.audit);
  return { isChanged };
}

/** Whether it would be another store than it is. @throws StrongroomError `not_found`, `state_conflict` */
export async function requireChoosable(
  reads: Pick<CommandContext, 'db'>,
  scopeId: string,
  type: ChooseStore['type'],
): Promise<{ readonly sourceId: string; readonly isChanged: boolean }> {
  const source = await reads.db
    .selectFrom('sources')
    .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
    .select(['sources.id', 'sources.type'])
    .where('sources.scope_id', '=', scopeId)
    .where('sources.name', '=', 'managed')
    .where('scopes.deleted_at', 'is', null)
    .executeTakeFirst();
  if (source === undefined) throw new StrongroomError('not_found');
  if (source.type === type) return { sourceId: source.id, isChanged: false };
  if ((await holdsSecrets(reads, source.id)) || (await hasPendingWrites(reads, source.id)))
    throw new StrongroomError('state_conflict', {
      detail: `The scope holds secrets in its managed store (${source.type}), deleted ones included.`,
      hint: 'Only a scope without secrets can get another managed store.',
    });
  return { sourceId: source.id, isChanged: true };
}

async function holdsSecrets({ db }: Pick<CommandContext, 'db'>, sourceId: string): Promise<boolean> {
  const used = db.selectFrom('uses').select('uses.secret_id').where('uses.secret_id', 'is not', null);
  const held = await db
    .selectFrom('secrets')
    .select('id')
    .where('source_id', '=', sourceId)
    .where((column) => column.or([column('is_unmarked', '=', 0), column('id', 'in', used)]))
    .limit(1)
    .executeTakeFirst();
  return held !== undefined;
}

async function hasPendingWrites({ db }: Pick<CommandContext, 'db'>, sourceId: string): Promise<boolean> {
  const pending = await db
    .selectFrom('write_intents')
    .select('id')
    .where('source_id', '=', sourceId)
    .where('state', '=', 'pending')
    .limit(1)
    .executeTakeFirst();
  return pending !== undefined;
}

export const managedStoreCommands = {
  'managed.choose': chooseStore,
  'managed.begin': begin,
  'managed.commit': commit,
  'managed.abandon': abandon,
  'managed.mark': mark,
  'managed.sweep': sweep,
  ...foundCommands,
  ...legacyTableCommands,
};
