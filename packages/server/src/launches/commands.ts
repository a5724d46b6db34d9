import { versionCommands } from './version-commands.ts';
import { StrongroomError } from '@strongroom/contract/core';
import { andThen, forEachInTurn, type MaybePromise } from '../store/maybe-promise.ts';
import { type CommandContext, hotStatement } from '../store/store.ts';
import { endLaunch, receiptLength, type ReceiptRow, writeReceipts } from './receipts.ts';
import { remove } from './retention.ts';
import { type BindingRow, bindingOf } from './rows.ts';
import { endSilent } from './silent.ts';

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
        column.and([column('jwk_thumbprint', '=', ''), column('bound_at', '>=', 0), column('bound_at', '<=', 0)]),
      ]),
    )
    .returning('id')
    .compile(),
);

const livingSecret = hotStatement<{ readonly id: string }>('launches.livingSecret', (db) =>
  db.selectFrom('secrets').select('id').where('id', '=', '').where('deleted_at', 'is', null).compile(),
);

/** A secret deleted since it was decided on: the launch decides again. @throws StrongroomError `version_conflict` */
export function requireLivingSecrets(context: CommandContext, secretIds: readonly string[]): MaybePromise<void> {
  return forEachInTurn(secretIds, (id) =>
    andThen(context.first(livingSecret, [id]), (living) => {
      if (living === undefined) throw new StrongroomError('version_conflict');
    }),
  );
}

/** The one command that every delivery runs, so its arguments are one flat list: {@link packDelivery} makes it. */
export type PackedDelivery = readonly (string | number | null)[];

export interface Delivery {
  readonly id: string;
  readonly scopeId: string;
  /** RFC 7638 thumbprint of the key that the values will be sealed to. */
  readonly thumbprint: string;
  readonly leaseMilliseconds: number;
  readonly receipts: readonly ReceiptRow[];
  readonly secretIds: readonly string[];
}

const deliveryHeadLength = 5;

export function packDelivery({
  id,
  scopeId,
  thumbprint,
  leaseMilliseconds,
  receipts,
  secretIds,
}: Delivery): PackedDelivery {
  const packed: (string | number | null)[] = [
    id,
    scopeId,
    thumbprint,
    leaseMilliseconds,
    secretIds.length,
    ...secretIds,
  ];
  for (const receipt of receipts) packed.push(...receipt);
  return packed;
}

function unpackDelivery(packed: PackedDelivery): Delivery {
  const [id, scopeId, thumbprint, leaseMilliseconds, secrets] = packed as [string, string, string, number, number];
  const receiptsAt = deliveryHeadLength + secrets;
  const secretIds = packed.slice(deliveryHeadLength, receiptsAt) as string[];
  const receipts: ReceiptRow[] = [];
  for (let at = receiptsAt; at < packed.length; at += receiptLength)
    receipts.push(packed.slice(at, at + receiptLength));
  return { id, scopeId, thumbprint, leaseMilliseconds, receipts, secretIds };
}

/**
 * @returns until when the workload counts as running without a heartbeat, in milliseconds since 1970
 * @throws StrongroomError `delivery_bound`, `launch_expired`, `version_conflict`
 */
function deliver(context: CommandContext, packed: PackedDelivery): MaybePromise<number> {
  const delivery = unpackDelivery(packed);
  const { id, thumbprint } = delivery;
  const { now } = context;
  const heartbeatUntil = now + delivery.leaseMilliseconds;
  const binding = context.first(bind, [
    thumbprint,
    now,
    heartbeatUntil,
    id,
    now,
    thumbprint,
    now - repeatMilliseconds,
    now + repeatMilliseconds,
  ]);
  return andThen(binding, (bound) => {
    if (bound === undefined) return refuseBinding(context, delivery);
    return andThen(requireLivingSecrets(context, delivery.secretIds), () =>
      andThen(writeReceipts(context, delivery, delivery.receipts, true), () => heartbeatUntil),
    );
  });
}

async function refuseBinding(context: CommandContext, { id, thumbprint }: Delivery): Promise<never> {
  const row = await context.first(bindingOf, [id]);
  if (row !== undefined) checkBinding(row, thumbprint, context.now);
  throw new StrongroomError('not_found');
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
  // Where the clock was set back since, nobody can tell how long it has been.
  if (Math.abs(now - row.bound_at) > repeatMilliseconds)
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
  await endLaunch(context, args.id);
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
  'launches.endSilent': endSilent,
  'launches.remove': remove,
};
