import { sql } from 'kysely';
import type { ScopeKind } from '@strongroom/contract';
import type { ListArgs } from '../access/pages.ts';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { Due, NoticeSettingsRow } from './commands.ts';
import { mailLane } from './lanes.ts';

const dayMilliseconds = 86_400_000;
const rotationDueAt = sql<number>`secrets.rotated_at + secrets.rotate_every_days * ${dayMilliseconds}`;

/** Due dates of live secrets that nobody was told of yet, in scopes where somebody is told. */
async function due({ db }: QueryContext, args: { readonly now: number; readonly limit: number }): Promise<Due[]> {
  const live = db
    .selectFrom('secrets')
    .innerJoin('notice_settings', 'notice_settings.scope_id', 'secrets.scope_id')
    .where('secrets.deleted_at', 'is', null);
  const expiries = await live
    .select([
      'secrets.id as secretId',
      'secrets.scope_id as scopeId',
      'secrets.key',
      sql<number>`secrets.expires_at`.as('dueAt'),
    ])
    .where(sql<boolean>`secrets.expires_at <= ${args.now} + notice_settings.expiry_lead_days * ${dayMilliseconds}`)
    .where((column) => column.not(column.exists(noticeOf(db, 'expiry', sql`secrets.expires_at`))))
    .orderBy('secrets.expires_at')
    .orderBy('secrets.id')
    .limit(args.limit)
    .execute();
  const rotations = await live
    .select(['secrets.id as secretId', 'secrets.scope_id as scopeId', 'secrets.key', rotationDueAt.as('dueAt')])
    .where('secrets.rotate_every_days', 'is not', null)
    .where(sql<boolean>`${rotationDueAt} <= ${args.now}`)
    .where((column) => column.not(column.exists(noticeOf(db, 'rotation', rotationDueAt))))
    .orderBy('secrets.rotated_at')
    .orderBy('secrets.id')
    .limit(args.limit)
    .execute();
  return [
    ...expiries.map((row): Due => ({ ...row, kind: 'expiry' })),
    ...rotations.map((row): Due => ({ ...row, kind: 'rotation' })),
  ];
}

function noticeOf(db: QueryContext['db'], kind: Due['kind'], dueAt: ReturnType<typeof sql>) {
  return db
    .selectFrom('notices')
    .select('notices.id')
    .where(sql<boolean>`notices.secret_id = secrets.id`)
    .where('notices.kind', '=', kind)
    .where(sql<boolean>`notices.due_at = ${dueAt}`);
}

/** A delivery that is due, with what it says and whether it still holds. */
export interface PendingDelivery {
  readonly notice_id: string;
  readonly channel: 'mail' | 'webhook';
  readonly recipient: string;
  readonly attempts: number;
  readonly kind: 'expiry' | 'rotation';
  readonly key: string;
  readonly due_at: number;
  readonly created_at: number;
  readonly scope_id: string;
  readonly scope_kind: ScopeKind;
  readonly scope_name: string;
  /** 0: the secret is gone, or its due date is another one by now. */
  readonly holds: number;
  /** Null: nobody is told any more. */
  readonly settings: NoticeSettingsRow | null;
}

/** Deliveries whose time has come, by scope and recipient; those of some lanes are left out. */
async function pending(
  { db }: QueryContext,
  args: { readonly now: number; readonly limit: number; readonly without?: readonly string[] },
): Promise<PendingDelivery[]> {
  const { without = [] } = args;
  let query = db
    .selectFrom('notice_deliveries')
    .innerJoin('notices', 'notices.id', 'notice_deliveries.notice_id')
    .innerJoin('scopes', 'scopes.id', 'notices.scope_id')
    .leftJoin('secrets', 'secrets.id', 'notices.secret_id')
    .select([
      'notice_deliveries.notice_id',
      'notice_deliveries.channel',
      'notice_deliveries.recipient',
      'notice_deliveries.attempts',
      'notices.kind',
      'notices.key',
      'notices.due_at',
      'notices.created_at',
      'notices.scope_id',
      'scopes.kind as scope_kind',
      'scopes.name as scope_name',
      sql<number>`case when secrets.id is null or secrets.deleted_at is not null then 0
        when notices.kind = 'expiry' then case when secrets.expires_at = notices.due_at then 1 else 0 end
        when ${rotationDueAt} = notices.due_at then 1 else 0 end`.as('holds'),
    ])
    .where('notice_deliveries.state', '=', 'pending')
    .where('notice_deliveries.next_at', '<=', args.now)
    .orderBy('notice_deliveries.next_at')
    .orderBy('notice_deliveries.notice_id')
    .limit(args.limit);
  if (without.includes(mailLane)) query = query.where('notice_deliveries.channel', '!=', 'mail');
  if (without.length > 0)
    query = query.where((column) =>
      column.or([column('notice_deliveries.channel', '=', 'mail'), column('notices.scope_id', 'not in', [...without])]),
    );
  const rows = await query.execute();
  if (rows.length === 0) return [];
  const settings = await db
    .selectFrom('notice_settings')
    .selectAll()
    .where('scope_id', 'in', [...new Set(rows.map(({ scope_id }) => scope_id))])
    .execute();
  const byScope = new Map(settings.map((row) => [row.scope_id, row]));
  return rows.map((row) => ({ ...row, settings: byScope.get(row.scope_id) ?? null }));
}

export interface ListedNotice {
  readonly notice: Tables['notices'];
  readonly deliveries: readonly Tables['notice_deliveries'][];
}

/** Notices of a scope, newest first. */
async function list({ db }: QueryContext, args: ListArgs & { readonly scopeId: string }): Promise<ListedNotice[]> {
  let query = db.selectFrom('notices').selectAll().where('scope_id', '=', args.scopeId);
  if (args.after !== null) query = query.where('id', '<', args.after[0] ?? '');
  const notices = await query.orderBy('id', 'desc').limit(args.limit).execute();
  if (notices.length === 0) return [];
  const deliveries = await db
    .selectFrom('notice_deliveries')
    .selectAll()
    .where(
      'notice_id',
      'in',
      notices.map(({ id }) => id),
    )
    .orderBy('channel')
    .orderBy('recipient')
    .execute();
  return notices.map((notice) => ({
    notice,
    deliveries: deliveries.filter(({ notice_id }) => notice_id === notice.id),
  }));
}

export const noticeQueries = { 'notices.due': due, 'notices.pending': pending, 'notices.list': list };
