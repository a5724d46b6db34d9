import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { networkOf } from './network.ts';

/**
 * How guessing is slowed down. Every attempt with a password counts before the password is looked at, so a hundred at once
 * are a hundred; the right password takes its count back. Buckets:
 *
 * - `pair`: this account from this network. Strict: a few free attempts, then a wait that doubles.
 * - `network`: any account from this network, against one password tried on many accounts.
 * - `account`: this account from anywhere, against many networks. It only slows: the wait is short.
 *
 * `network` and `account` neither count nor refuse where the account signed in successfully from that network lately
 * (`familiar`), so a stranger elsewhere can't keep somebody out of the place they usually sign in from. A refused attempt
 * does not prolong the wait. One-time links are not throttled here at all: their tokens can't be guessed, and they are the
 * way in when somebody on the same network keeps the `pair` busy.
 *
 * Unknown accounts have buckets like known ones, else the wait would tell which exist.
 */
interface ThrottleRule {
  /** Failures without any wait. */
  readonly free: number;
  readonly firstWaitMilliseconds: number;
  /** The wait doubles up to this. */
  readonly longestWaitMilliseconds: number;
  /** Without a failure for this long the count starts again. */
  readonly forgetMilliseconds: number;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const rules = {
  pair: { free: 5, firstWaitMilliseconds: 2 * second, longestWaitMilliseconds: 15 * minute, forgetMilliseconds: day },
  network: { free: 30, firstWaitMilliseconds: second, longestWaitMilliseconds: minute, forgetMilliseconds: hour },
  account: { free: 50, firstWaitMilliseconds: second, longestWaitMilliseconds: 30 * second, forgetMilliseconds: hour },
} as const satisfies Record<string, ThrottleRule>;

type RuleName = keyof typeof rules;

/** How long a successful sign-in makes a network familiar for an account. */
export const familiarMilliseconds = 30 * day;

/** Who tries from where. */
export interface AttemptKey {
  /** Folded name; `?` for what can't be a name. */
  readonly account: string;
  /** {@link networkOf} of the address. */
  readonly network: string;
}

export function attemptKey(foldedName: string | null, address: string): AttemptKey {
  return { account: foldedName ?? '?', network: networkOf(address) };
}

interface ThrottleRow {
  readonly bucket: string;
  readonly window_start: number;
  readonly failures: number;
}

/** Bucket texts of an attempt. Neither a name nor a network holds a bar. */
export function bucketsOf(key: AttemptKey): Readonly<Record<RuleName | 'familiar', string>> {
  return {
    pair: `pair|${key.account}|${key.network}`,
    network: `network|${key.network}`,
    account: `account|${key.account}`,
    familiar: `familiar|${key.account}|${key.network}`,
  };
}

export interface AttemptState {
  /** Milliseconds to wait; 0: go ahead. */
  readonly waitMilliseconds: number;
  /** Whether the account signed in from that network lately. */
  readonly isFamiliar: boolean;
  /** Buckets in which this attempt counts. */
  readonly counted: readonly RuleName[];
}

/** What the stored rows say about an attempt at `now`. */
export function judgeAttempt(rows: readonly ThrottleRow[], key: AttemptKey, now: number): AttemptState {
  const buckets = bucketsOf(key);
  const find = (bucket: string) => rows.find((row) => row.bucket === bucket);
  const familiar = find(buckets.familiar);
  const isFamiliar = familiar !== undefined && now - familiar.window_start < familiarMilliseconds;
  const counted: readonly RuleName[] = isFamiliar ? ['pair'] : ['pair', 'network', 'account'];
  const waits = counted.map((name) => waitOf(rules[name], find(buckets[name]), now));
  return { waitMilliseconds: Math.max(0, ...waits), isFamiliar, counted };
}

function waitOf(rule: ThrottleRule, row: ThrottleRow | undefined, now: number): number {
  if (row === undefined || row.failures < rule.free || now - row.window_start >= rule.forgetMilliseconds) return 0;
  // The clock was set back since. The next attempt is dated anew, and waits as ever.
  if (row.window_start > now) return 0;
  const doubled = rule.firstWaitMilliseconds * 2 ** Math.min(row.failures - rule.free, 30);
  return row.window_start + Math.min(doubled, rule.longestWaitMilliseconds) - now;
}

/** @throws StrongroomError `throttled`, with Retry-After */
export function throwIfWaiting(state: AttemptState): void {
  if (state.waitMilliseconds <= 0) return;
  throw new StrongroomError('throttled', { retryAfterSeconds: Math.ceil(state.waitMilliseconds / second) });
}

/** Counts an attempt, or says how long to wait. Doesn't throw for a wait: nothing would be stored. */
async function beginAttempt(context: CommandContext, key: AttemptKey): Promise<AttemptState> {
  const buckets = bucketsOf(key);
  const rows = await context.db
    .selectFrom('throttles')
    .selectAll()
    .where('bucket', 'in', Object.values(buckets))
    .execute();
  const state = judgeAttempt(rows, key, context.now);
  if (state.waitMilliseconds > 0) return state;
  for (const name of state.counted) {
    const forgotten = context.now - rules[name].forgetMilliseconds;
    await context.db
      .insertInto('throttles')
      .values({ bucket: buckets[name], window_start: context.now, failures: 1 })
      .onConflict((conflict) =>
        conflict.column('bucket').doUpdateSet((column) => ({
          window_start: context.now,
          failures: column
            .case()
            .when('throttles.window_start', '<=', forgotten)
            .then(1)
            .else(column('throttles.failures', '+', 1))
            .end(),
        })),
      )
      .execute();
  }
  return state;
}

export interface SucceededAttempt {
  readonly key: AttemptKey;
  readonly counted: readonly RuleName[];
}

/** Takes the attempt's own count back, forgets the pair, and makes the network familiar. Part of the signing in's command. */
export async function settleAttempt(context: CommandContext, attempt: SucceededAttempt): Promise<void> {
  const buckets = bucketsOf(attempt.key);
  await context.db.deleteFrom('throttles').where('bucket', '=', buckets.pair).execute();
  const others = attempt.counted.filter((name) => name !== 'pair').map((name) => buckets[name]);
  if (others.length > 0) {
    await context.db
      .updateTable('throttles')
      .set((column) => ({ failures: column('failures', '-', 1) }))
      .where('bucket', 'in', others)
      .where('failures', '>', 0)
      .execute();
  }
  await context.db
    .insertInto('throttles')
    .values({ bucket: buckets.familiar, window_start: context.now, failures: 0 })
    .onConflict((conflict) => conflict.column('bucket').doUpdateSet({ window_start: context.now }))
    .execute();
}

export const throttleCommands = { 'identities.beginAttempt': beginAttempt };
