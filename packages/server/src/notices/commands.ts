import { StrongroomError } from '@strongroom/contract/core';
import type { ScopeRef } from '../access/types.ts';
import { type LeaseToken, requireLease } from '../store/leases.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

export type NoticeSettingsRow = Tables['notice_settings'];
export type NoticeKind = Tables['notices']['kind'];

/** A reference as it is kept: canonical, with what it was to when it was saved. */
export interface HeldReference {
  readonly reference: string;
  readonly sourceId: string;
  readonly key: string;
}

export interface PutNoticeSettings {
  readonly scopeId: string;
  readonly expectedRevision: number | null;
  readonly recipients: readonly string[];
  readonly webhook: {
    /** The address, or where it is. */
    readonly url: string | HeldReference;
    readonly signing: HeldReference;
  } | null;
  readonly authorisedBy: string;
  readonly expiryLeadDays: number;
  readonly by: string;
}

/** @throws StrongroomError `revision_mismatch`; `not_found` for a scope that is gone */
async function putSettings(context: CommandContext, args: PutNoticeSettings): Promise<void> {
  const { db, now } = context;
  const row = await settingsOf(context, args.scopeId, args.expectedRevision);
  const scope = await db
    .selectFrom('scopes')
    .select('id')
    .where('id', '=', args.scopeId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (scope === undefined) throw new StrongroomError('not_found');
  const url = args.webhook?.url;
  const values = {
    recipients: JSON.stringify(args.recipients),
    webhook_url: typeof url === 'string' ? url : null,
    url_reference: typeof url === 'object' ? url.reference : null,
    url_source_id: typeof url === 'object' ? url.sourceId : null,
    url_key: typeof url === 'object' ? url.key : null,
    signing_reference: args.webhook?.signing.reference ?? null,
    signing_source_id: args.webhook?.signing.sourceId ?? null,
    signing_key: args.webhook?.signing.key ?? null,
    authorised_by: args.authorisedBy,
    expiry_lead_days: args.expiryLeadDays,
    updated_at: now,
    updated_by: args.by,
  };
  await (
    row === undefined
      ? db.insertInto('notice_settings').values({ scope_id: args.scopeId, revision: 1, ...values })
      : db
          .updateTable('notice_settings')
          .set({ ...values, revision: row.revision + 1 })
          .where('scope_id', '=', args.scopeId)
  ).execute();
}

/** What is said to who may see that there is nothing; who may not gets `not_found` before. */
export function nobodyTold({ kind, name }: ScopeRef): StrongroomError {
  const [place, flags] =
    kind === 'domain' ? [`domain ${name}`, `--domain ${name}`] : [`the ${kind} scope`, `--${kind}`];
  return new StrongroomError('not_configured', {
    detail: `Nobody is told of expiries and rotations in ${place}.`,
    hint: `strongroom notice set ${flags} says who is.`,
  });
}

/** @throws StrongroomError `not_configured`, `revision_mismatch` */
async function deleteSettings(
  context: CommandContext,
  args: { readonly scope: ScopeRef; readonly expectedRevision: number | null },
): Promise<void> {
  const row = await settingsOf(context, args.scope.id, args.expectedRevision);
  if (row === undefined) throw nobodyTold(args.scope);
  await removeNoticesOf(context, args.scope.id);
}

/** With their domain: nobody is told any more. What was told stays on record. */
export async function removeNoticesOf({ db }: CommandContext, scopeId: string): Promise<void> {
  await db.deleteFrom('notice_settings').where('scope_id', '=', scopeId).execute();
  await db
    .updateTable('notice_deliveries')
    .set({ state: 'obsolete' })
    .where('state', '=', 'pending')
    .where('notice_id', 'in', db.selectFrom('notices').select('id').where('scope_id', '=', scopeId))
    .execute();
}

async function settingsOf(
  { db }: CommandContext,
  scopeId: string,
  expectedRevision: number | null,
): Promise<NoticeSettingsRow | undefined> {
  const row = await db.selectFrom('notice_settings').selectAll().where('scope_id', '=', scopeId).executeTakeFirst();
  if (expectedRevision !== null && row?.revision !== expectedRevision)
    throw new StrongroomError('revision_mismatch', {
      detail: row === undefined ? 'There are none.' : `They are at revision ${row.revision}.`,
    });
  return row;
}

/** A due date that nobody was told of. */
export interface Due {
  readonly secretId: string;
  readonly scopeId: string;
  readonly key: string;
  readonly kind: NoticeKind;
  readonly dueAt: number;
}

/** Makes the notices of due dates, each once, with everybody who is told. @throws StrongroomError `version_conflict` when the lease is lost */
async function record(
  context: CommandContext,
  args: { readonly lease: LeaseToken; readonly due: readonly (Due & { readonly id: string })[]; readonly now: number },
): Promise<{ readonly made: number }> {
  await requireLease(context, args.lease);
  const { db, now } = context;
  let made = 0;
  for (const { id, secretId, scopeId, key, kind, dueAt } of args.due) {
    const settings = await settingsOf(context, scopeId, null);
    if (settings === undefined) continue;
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('notices')
      .values({ id, scope_id: scopeId, secret_id: secretId, key, kind, due_at: dueAt, created_at: now })
      .onConflict((conflict) => conflict.columns(['secret_id', 'kind', 'due_at']).doNothing())
      .executeTakeFirstOrThrow();
    if (Number(numInsertedOrUpdatedRows ?? 0) !== 1) continue;
    made += 1;
    const recipients = JSON.parse(settings.recipients) as string[];
    const deliveries = [
      ...recipients.map((recipient) => ({ channel: 'mail' as const, recipient })),
      ...(settings.signing_reference === null ? [] : [{ channel: 'webhook' as const, recipient: '' }]),
    ].map((delivery) => ({
      notice_id: id,
      ...delivery,
      state: 'pending' as const,
      attempts: 0,
      next_at: args.now,
      attempted_at: null,
      delivered_at: null,
      problem: null,
    }));
    await db.insertInto('notice_deliveries').values(deliveries).execute();
  }
  return { made };
}

export interface DeliveryKey {
  readonly noticeId: string;
  readonly channel: 'mail' | 'webhook';
  readonly recipient: string;
}

/**
 * Notes that deliveries are about to be tried, and when they are tried again unless their end is noted before: what is killed
 * meanwhile is then sent again. @throws StrongroomError `version_conflict` when the lease is lost
 */
async function attempt(
  context: CommandContext,
  args: { readonly lease: LeaseToken; readonly deliveries: readonly (DeliveryKey & { readonly nextAt: number })[] },
): Promise<void> {
  await requireLease(context, args.lease);
  for (const { nextAt, ...key } of args.deliveries)
    await context.db
      .updateTable('notice_deliveries')
      .set((column) => ({ attempts: column('attempts', '+', 1), attempted_at: context.now, next_at: nextAt }))
      .where('notice_id', '=', key.noticeId)
      .where('channel', '=', key.channel)
      .where('recipient', '=', key.recipient)
      .where('state', '=', 'pending')
      .execute();
}

export interface DeliveryEnd extends DeliveryKey {
  /** `pending`: it is tried again. */
  readonly state: Tables['notice_deliveries']['state'];
  readonly problem: string | null;
}

/** What became of deliveries. @throws StrongroomError `version_conflict` when the lease is lost */
async function settle(
  context: CommandContext,
  args: { readonly lease: LeaseToken; readonly ends: readonly DeliveryEnd[] },
): Promise<void> {
  await requireLease(context, args.lease);
  for (const { noticeId, channel, recipient, state, problem } of args.ends)
    await context.db
      .updateTable('notice_deliveries')
      .set({ state, problem, delivered_at: state === 'delivered' ? context.now : null })
      .where('notice_id', '=', noticeId)
      .where('channel', '=', channel)
      .where('recipient', '=', recipient)
      .where('state', '=', 'pending')
      .execute();
}

/** Notices of before, but for those that keep their due date from being told again. */
async function sweep(
  { db }: CommandContext,
  args: { readonly before: number; readonly limit: number },
): Promise<{ readonly removed: number }> {
  const old = await db
    .selectFrom('notices')
    .leftJoin('secrets', 'secrets.id', 'notices.secret_id')
    .select(['notices.id'])
    .where('notices.created_at', '<', args.before)
    .where((column) =>
      column.or([
        column('secrets.id', 'is', null),
        column.and([
          column('notices.kind', '=', 'expiry'),
          column.or([
            column('secrets.expires_at', 'is', null),
            column('secrets.expires_at', '!=', column.ref('notices.due_at')),
          ]),
        ]),
        column.and([
          column('notices.kind', '=', 'rotation'),
          column.or([
            column('secrets.rotate_every_days', 'is', null),
            column('secrets.rotated_at', '>=', column.ref('notices.due_at')),
          ]),
        ]),
      ]),
    )
    .limit(args.limit)
    .execute();
  const ids = old.map(({ id }) => id);
  if (ids.length === 0) return { removed: 0 };
  await db.deleteFrom('notice_deliveries').where('notice_id', 'in', ids).execute();
  await db.deleteFrom('notices').where('id', 'in', ids).execute();
  return { removed: ids.length };
}

export const noticeCommands = {
  'notices.putSettings': putSettings,
  'notices.deleteSettings': deleteSettings,
  'notices.record': record,
  'notices.attempt': attempt,
  'notices.settle': settle,
  'notices.sweep': sweep,
};
