import { StrongroomError } from '@strongroom/contract';
import pLimit from 'p-limit';
import type { ScopeRef } from '../access/types.ts';
import type { OpenEgress } from '../integrations/connection.ts';
import type { Resolver } from '../launches/resolve.ts';
import { newId } from '../store/ids.ts';
import type { HeldLease } from '../store/leases.ts';
import type { Store } from '../store/store.ts';
import type { Mailer } from '../surfaces/email/mailer.ts';
import { platformSubject } from '../surfaces/platform-use.ts';
import type { DeliveryEnd, DeliveryKey, NoticeSettingsRow } from './commands.ts';
import { laneOf, LaneTimes } from './lanes.ts';
import { mailOf, webhookOf } from './message.ts';
import type { PendingDelivery } from './queries.ts';
import { sendWebhook } from './webhook-secrets.ts';

export interface NoticeSenderParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly mailer: Mailer;
  readonly egress: OpenEgress;
}

const minute = 60_000;
/** Attempts that a delivery gets, over about a day and a half. */
export const maxAttempts = 12;
const longestWaitMilliseconds = 12 * 60 * minute;
const dueAtOnce = 500;
const pendingAtOnce = 100;
/** Webhooks that are called at once, with the mail server. */
const lanesAtOnce = 8;
/** Notices that one mail tells of. */
const mailedAtOnce = 50;
/** How long what was told is kept when it is not of use any more. */
const keptDays = 90;
const sweptAtOnce = 500;

/** Until it is tried again after so many attempts. */
export function waitAfter(attempts: number): number {
  return Math.min(minute * 2 ** (attempts - 1), longestWaitMilliseconds);
}

/**
 * Finds what is due and tells of it, under a lease. A notice is made once for each due date of a secret; each of its
 * deliveries is noted before it is tried and again after, so that one that was under way when the server was killed is sent
 * again: at least once.
 */
export class NoticeSender {
  readonly #parts: NoticeSenderParts;

  constructor(parts: NoticeSenderParts) {
    this.#parts = parts;
  }

  /** @throws StrongroomError of the store alone: what can't be sent is in the deliveries */
  async round(lease: HeldLease, now = Date.now()): Promise<void> {
    if (!(await this.#isUsed())) return;
    await this.#record(lease, now);
    const times = new LaneTimes(() => performance.now());
    const next = () => this.#pending(now, times.spent);
    for (let rows = await next(); rows.length > 0 && !lease.signal.aborted; rows = await next())
      await this.#deliver(lease, rows, now, times);
  }

  /** Forgets what was told long ago and can't be told again. */
  async sweep(signal: AbortSignal, now = Date.now()): Promise<void> {
    const before = now - keptDays * 24 * 60 * minute;
    let removed = sweptAtOnce;
    while (removed === sweptAtOnce && !signal.aborted)
      ({ removed } = await this.#parts.store.execute('notices.sweep', { before, limit: sweptAtOnce }));
  }

  /** By key, on this thread: an idle server starts no reader for the answer, which is often no. */
  async #isUsed(): Promise<boolean> {
    const { db } = this.#parts.store;
    return (await db.selectFrom('notice_settings').select('scope_id').limit(1).executeTakeFirst()) !== undefined;
  }

  #pending(now: number, without: readonly string[]): Promise<PendingDelivery[]> {
    return this.#parts.store.query('notices.pending', { now, limit: pendingAtOnce, without });
  }

  async #record(lease: HeldLease, now: number): Promise<void> {
    const { store } = this.#parts;
    for (let found = dueAtOnce; found >= dueAtOnce && !lease.signal.aborted;) {
      const due = await store.query('notices.due', { now, limit: dueAtOnce });
      found = due.length;
      if (found === 0) return;
      const { made } = await store.execute('notices.record', {
        lease: tokenOf(lease),
        due: due.map((each) => ({ ...each, id: newId('notice') })),
        now,
      });
      if (made === 0) return;
    }
  }

  /** Each lane for itself, so that no scope waits for another one's webhook. */
  async #deliver(lease: HeldLease, rows: readonly PendingDelivery[], now: number, times: LaneTimes): Promise<void> {
    const gone = rows.filter((row) => !stillHolds(row));
    if (gone.length > 0) await this.#settle(lease, gone, 'obsolete', null);
    const lanes = Map.groupBy(rows.filter(stillHolds), laneOf);
    const limited = pLimit(lanesAtOnce);
    const done = await Promise.allSettled(
      [...lanes].map(([lane, each]) =>
        limited(async () => {
          for (const group of groupsOf(each)) {
            if (lease.signal.aborted || times.isSpent(lane)) return;
            await times.count(lane, () => this.#attempt(lease, group, now));
          }
        }),
      ),
    );
    for (const each of done) if (each.status === 'rejected') throw each.reason;
  }

  async #attempt(lease: HeldLease, group: readonly PendingDelivery[], now: number): Promise<void> {
    const deliveries = group.map((row) => ({ ...keyOf(row), nextAt: now + waitAfter(row.attempts + 1) }));
    await this.#parts.store.execute('notices.attempt', { lease: tokenOf(lease), deliveries });
    const problem = await this.#send(group, lease.signal, now);
    // What was cut off by the end of this server is no failure: its time comes again.
    if (problem !== null && lease.signal.aborted) return;
    if (problem === null) await this.#settle(lease, group, 'delivered', null);
    else
      for (const row of group)
        await this.#settle(lease, [row], row.attempts + 1 >= maxAttempts ? 'failed' : 'pending', problem);
  }

  async #settle(
    lease: HeldLease,
    rows: readonly PendingDelivery[],
    state: DeliveryEnd['state'],
    problem: string | null,
  ): Promise<void> {
    const ends = rows.map((row) => ({ ...keyOf(row), state, problem }));
    await this.#parts.store.execute('notices.settle', { lease: tokenOf(lease), ends });
  }

  /** One mail, or one webhook. @returns why it did not go, in our words; `null` when it did */
  async #send(group: readonly PendingDelivery[], signal: AbortSignal, now: number): Promise<string | null> {
    const [first] = group;
    if (first === undefined || first.settings === null) return null;
    const place = { kind: first.scope_kind, name: first.scope_name };
    const noticed = group.map(({ kind, key, due_at: dueAt }) => ({ kind, key, dueAt }));
    try {
      if (first.channel === 'mail') await this.#parts.mailer.send(mailOf(first.recipient, place, noticed, now));
      else await this.#post(first, first.settings, signal);
      return null;
    } catch (error) {
      return problemOf(error);
    }
  }

  async #post(row: PendingDelivery, settings: NoticeSettingsRow, signal: AbortSignal): Promise<void> {
    const scope: ScopeRef = { id: row.scope_id, kind: row.scope_kind, name: row.scope_name };
    const { kind, key, due_at: dueAt } = row;
    const message = webhookOf(row.notice_id, scope, { kind, key, dueAt }, row.created_at);
    const egress = await this.#parts.egress();
    await sendWebhook(this.#parts, egress, settings, message, { scope, subject: platformSubject, signal });
  }
}

/** What an attempt failed with, for people. Only our own errors have words for them. */
export function problemOf(error: unknown): string {
  if (!(error instanceof StrongroomError)) throw error;
  return error.message.slice(0, 300);
}

/** The secret still has this due date, and this recipient is still told. */
function stillHolds({ holds, settings, channel, recipient }: PendingDelivery): boolean {
  if (holds !== 1 || settings === null) return false;
  if (channel === 'webhook') return settings.signing_reference !== null;
  return (JSON.parse(settings.recipients) as string[]).includes(recipient);
}

/** What goes out at once: all mail of a scope to one recipient, and each webhook by itself. */
function groupsOf(rows: readonly PendingDelivery[]): PendingDelivery[][] {
  const groups = new Map<string, PendingDelivery[]>();
  for (const row of rows) {
    const base = row.channel === 'mail' ? `${row.scope_id} ${row.recipient}` : row.notice_id;
    for (let part = 0; ; part += 1) {
      const group = groups.get(`${base} ${part}`);
      if (group !== undefined && group.length >= mailedAtOnce) continue;
      if (group === undefined) groups.set(`${base} ${part}`, [row]);
      else group.push(row);
      break;
    }
  }
  return [...groups.values()];
}

function keyOf({ notice_id: noticeId, channel, recipient }: PendingDelivery): DeliveryKey {
  return { noticeId, channel, recipient };
}

function tokenOf({ name, epoch }: HeldLease) {
  return { name, epoch };
}
