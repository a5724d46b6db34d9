import { versionCommands } from './version-commands.ts';
import { StrongroomError } from '@strongroom/contract/core';
import { type CommandContext, hotStatement } from '../store/store.ts';
import { type ReceiptRow, writeReceipts } from './receipts.ts';

/** Milliseconds in which the first key of a delivery may be used again: a lost answer is no lost launch. */
const repeatMilliseconds = 60_000;

export interface NewWorkloadLaunch {
  readonly id: string;
  readonly scopeId: string;
  readonly subjectId: string;
  readonly configurationId: string | null;
  readonly configurationRevision: number | null;
  /** JSON array of {name, pointer, reference}. */
  readonly requested: string;
  readonly lifetimeMilliseconds: number;
}

async function create(
  context: CommandContext,
  args: NewWorkloadLaunch,
): Promise<{ readonly id: string; readonly expiresAt: number }> {
  const expiresAt = context.now + args.lifetimeMilliseconds;
  await context.db
    .insertInto('launches')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      kind: 'workload',
      configuration_id: args.configurationId,
      configuration_revision: args.configurationRevision,
      subject_id: args.subjectId,
      requested: args.requested,
      created_at: context.now,
      expires_at: expiresAt,
      jwk_thumbprint: null,
      bound_at: null,
      heartbeat_until: null,
      ended_at: null,
    })
    .execute();
  return { id: args.id, expiresAt };
}

interface BindingRow {
  readonly expires_at: number;
  readonly jwk_thumbprint: string | null;
  readonly bound_at: number | null;
  readonly ended_at: number | null;
}

const bindingOf = hotStatement<BindingRow>('launches.bindingOf', (db) =>
  db
    .selectFrom('launches')
    .select(['expires_at', 'jwk_thumbprint', 'bound_at', 'ended_at'])
    .where('id', '=', '')
    .compile(),
);

/** Binds, or repeats, or changes nothing: then {@link checkBinding} says why. */
const bind = hotStatement<{ readonly id: string }>('launches.bind', (db) =>
  db
    .updateTable('launches')
    .set((column) => ({
      jwk_thumbprint: column.val(''),
      bound_at: column.fn.coalesce('bound_at', column.val(0)),
      heartbeat_until: column.val(0),
    }))
    .where('id', '=', '')
    .where('ended_at', 'is', null)
    .where((column) =>
      column.or([
        column.and([column('bound_at', 'is', null), column('expires_at', '>', 0)]),
        column.and([column('jwk_thumbprint', '=', ''), column('bound_at', '>=', 0)]),
      ]),
    )
    .returning('id')
    .compile(),
);

const livingSecret = hotStatement<{ readonly id: string }>('launches.livingSecret', (db) =>
  db.selectFrom('secrets').select('id').where('id', '=', '').where('deleted_at', 'is', null).compile(),
);

/** A secret deleted since it was decided on: the launch decides again. @throws StrongroomError `version_conflict` */
export async function requireLivingSecrets(context: CommandContext, secretIds: readonly string[]): Promise<void> {
  for (const id of secretIds) {
    if ((await context.first(livingSecret, [id])) === undefined) throw new StrongroomError('version_conflict');
  }
}

export interface Delivery {
  readonly id: string;
  readonly scopeId: string;
  /** RFC 7638 thumbprint of the key that the values will be sealed to. */
  readonly thumbprint: string;
  readonly leaseMilliseconds: number;
  readonly receipts: readonly ReceiptRow[];
  readonly secretIds: readonly string[];
}

/** @throws StrongroomError `delivery_bound`, `launch_expired`, `version_conflict` */
async function deliver(context: CommandContext, args: Delivery): Promise<{ readonly heartbeatUntil: number }> {
  const heartbeatUntil = context.now + args.leaseMilliseconds;
  const bound = await context.first(bind, [
    args.thumbprint,
    context.now,
    heartbeatUntil,
    args.id,
    context.now,
    args.thumbprint,
    context.now - repeatMilliseconds,
  ]);
  if (bound === undefined) {
    const row = await context.first(bindingOf, [args.id]);
    if (row !== undefined) checkBinding(row, args.thumbprint, context.now);
    throw new StrongroomError('not_found');
  }
  await requireLivingSecrets(context, args.secretIds);
  await writeReceipts(context, args, args.receipts, true);
  return { heartbeatUntil };
}

/**
 * Whether a launch may be delivered to a key now.
 * @throws StrongroomError `launch_expired`, `delivery_bound`
 */
export function checkBinding(row: BindingRow, thumbprint: string, now: number): void {
  if (row.ended_at !== null || (row.bound_at === null && now >= row.expires_at))
    throw new StrongroomError('launch_expired');
  if (row.jwk_thumbprint === null || row.bound_at === null) return;
  if (row.jwk_thumbprint !== thumbprint) throw new StrongroomError('delivery_bound');
  if (now - row.bound_at > repeatMilliseconds)
    throw new StrongroomError('delivery_bound', {
      detail: `The same key may repeat for ${repeatMilliseconds / 1000} seconds; they are over.`,
      hint: 'Start a new launch.',
    });
}

export interface Refusal {
  readonly id: string;
  readonly scopeId: string;
  readonly receipts: readonly ReceiptRow[];
}

/** What did not resolve, kept for whoever looks at the launch. Of what was delivered before nothing is overwritten. */
async function refuse(context: CommandContext, args: Refusal): Promise<void> {
  const delivered = await context.db
    .selectFrom('receipts')
    .select('launch_id')
    .where('launch_id', '=', args.id)
    .where('delivered_at', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  if (delivered === undefined) await writeReceipts(context, args, args.receipts, false);
}

/** @throws StrongroomError `not_found`, `state_conflict` when it ended or nothing was delivered yet */
async function heartbeat(
  context: CommandContext,
  args: { readonly id: string; readonly leaseMilliseconds: number },
): Promise<{ readonly heartbeatUntil: number }> {
  const row = await context.first(bindingOf, [args.id]);
  if (row === undefined) throw new StrongroomError('not_found');
  if (row.ended_at !== null) throw new StrongroomError('state_conflict', { detail: 'The launch has ended.' });
  if (row.bound_at === null) throw new StrongroomError('state_conflict', { detail: 'Nothing was delivered yet.' });
  const heartbeatUntil = context.now + args.leaseMilliseconds;
  await context.db.updateTable('launches').set({ heartbeat_until: heartbeatUntil }).where('id', '=', args.id).execute();
  return { heartbeatUntil };
}

async function end(context: CommandContext, args: { readonly id: string }): Promise<void> {
  await context.db
    .updateTable('launches')
    .set({ ended_at: context.now })
    .where('id', '=', args.id)
    .where('ended_at', 'is', null)
    .execute();
}

/** Nothing but its audit records: a preflight, an alarm. */
async function record(): Promise<void> {
  // The records are written with the transaction of the command.
}

export const launchCommands = {
  ...versionCommands,
  'launches.create': create,
  'launches.deliver': deliver,
  'launches.refuse': refuse,
  'launches.heartbeat': heartbeat,
  'launches.end': end,
  'launches.record': record,
};
