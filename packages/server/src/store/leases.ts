import { setTimeout as sleep } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract/core';
import { type Command, type CommandContext, hotStatement, type Store } from './store.ts';

/** A lease as its holder knows it. Goes into the arguments of every completion, which says `requireLease`. */
export interface LeaseToken {
  readonly name: string;
  /** Grows each time the lease is taken; never repeats. */
  readonly epoch: number;
}

/** What the work of a lease gets. */
export interface HeldLease extends LeaseToken {
  /** Aborts when the lease was lost or could not be renewed in time. Stopping is polite; `requireLease` is what protects. */
  readonly signal: AbortSignal;
}

export type LeaseOutcome<Result> = { readonly held: true; readonly result: Result } | { readonly held: false };

/**
 * Does `work` while holding the lease, renewing it at a third of its time; returns at once with `held: false` when somebody
 * else holds it. The lease is released at the end, also when `work` throws.
 *
 * Holding is a matter of clocks and can be wrong: a process may sleep through its time and go on. So whatever the work
 * writes is a command that calls `requireLease` with this lease's epoch, and a holder that was replaced changes nothing.
 *
 * @param holder who holds it, unique per process start
 */
export async function withLease<Result>(
  store: Pick<Store, 'execute'>,
  name: string,
  holder: string,
  ttlMilliseconds: number,
  work: (lease: HeldLease) => Promise<Result>,
): Promise<LeaseOutcome<Result>> {
  const { epoch } = await store.execute('lease.acquire', { name, holder, ttlMilliseconds });
  if (epoch === null) return { held: false };
  const lost = new AbortController();
  const done = new AbortController();
  const renewing = renewUntil(store, { name, epoch }, ttlMilliseconds, lost, done.signal);
  try {
    return { held: true, result: await work({ name, epoch, signal: lost.signal }) };
  } finally {
    done.abort();
    await renewing;
    // One that can't be released now expires by itself.
    await store.execute('lease.release', { name, epoch }).catch(ignoreStoreFailure);
  }
}

async function renewUntil(
  store: Pick<Store, 'execute'>,
  lease: LeaseToken,
  ttlMilliseconds: number,
  lost: AbortController,
  done: AbortSignal,
): Promise<void> {
  let renewedAt = performance.now();
  while (!done.aborted && !lost.signal.aborted) {
    await sleep(ttlMilliseconds / 3, undefined, { signal: done }).catch(ignoreAbort);
    if (done.aborted) return;
    const asked = performance.now();
    try {
      const { isHeld } = await store.execute('lease.renew', { ...lease, ttlMilliseconds });
      if (isHeld) renewedAt = asked;
      else lost.abort(leaseLost(lease.name));
    } catch (error) {
      ignoreStoreFailure(error);
      if (performance.now() - renewedAt >= ttlMilliseconds) lost.abort(leaseLost(lease.name));
    }
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}

function ignoreStoreFailure(error: unknown): void {
  if (!(error instanceof StrongroomError)) throw error;
}

function leaseLost(name: string): StrongroomError {
  return new StrongroomError('version_conflict', { detail: `The lease ${name} was taken over by another process.` });
}

/** Writes the row, so that a take-over in another transaction waits for this one or is seen by it. */
const fence = hotStatement('lease.fence', (db) =>
  db
    .updateTable('leases')
    .set((row) => ({ epoch: row.ref('epoch') }))
    .where('name', '=', '')
    .where('epoch', '=', 0)
    .returning('epoch')
    .compile(),
);

/**
 * For commands that complete background work: refuses when the lease has gone to somebody else since.
 *
 * @throws StrongroomError `version_conflict`
 */
export async function requireLease(context: CommandContext, lease: LeaseToken): Promise<void> {
  if ((await context.first(fence, [lease.name, lease.epoch])) === undefined) throw leaseLost(lease.name);
}

export interface AcquireArgs {
  readonly name: string;
  readonly holder: string;
  readonly ttlMilliseconds: number;
}

/** How far clocks may be apart. */
const toleranceMilliseconds = 60_000;

/**
 * Takes the lease when it is free or expired; `epoch` is null when somebody holds it. One that would be held for longer than
 * anybody takes it for is from before the clock was set back: nobody may wait for it.
 */
const acquire: Command<AcquireArgs, { readonly epoch: number | null }> = async (context, args) => {
  const { name, holder } = args;
  const expiresAt = context.now + args.ttlMilliseconds;
  const row = await context.db
    .insertInto('leases')
    .values({ name, holder, epoch: 1, expires_at: expiresAt })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet((columns) => ({ holder, epoch: columns('leases.epoch', '+', 1), expires_at: expiresAt }))
        .where((where) =>
          where.or([
            where('leases.expires_at', '<=', context.now),
            where('leases.expires_at', '>', expiresAt + toleranceMilliseconds),
          ]),
        ),
    )
    .returning('epoch')
    .executeTakeFirst();
  return { epoch: row?.epoch ?? null };
};

/** Also renews an expired lease that nobody has taken. */
const renew: Command<LeaseToken & { readonly ttlMilliseconds: number }, { readonly isHeld: boolean }> = async (
  context,
  args,
) => {
  const result = await context.db
    .updateTable('leases')
    .set({ expires_at: context.now + args.ttlMilliseconds })
    .where('name', '=', args.name)
    .where('epoch', '=', args.epoch)
    .executeTakeFirst();
  return { isHeld: result.numUpdatedRows === 1n };
};

/** The row stays, so that the next epoch is greater. */
const release: Command<LeaseToken, void> = async (context, args) => {
  await context.db
    .updateTable('leases')
    .set({ expires_at: 0 })
    .where('name', '=', args.name)
    .where('epoch', '=', args.epoch)
    .execute();
};

export const leaseCommands = { 'lease.acquire': acquire, 'lease.renew': renew, 'lease.release': release };
