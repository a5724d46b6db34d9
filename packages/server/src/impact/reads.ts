import { StrongroomError } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import { type Aside, Hits } from './gather.ts';
import { type HeldTarget, holdersOf } from './holders.ts';
import type { HeldOf, ImpactTarget, Within } from './queries.ts';

/** Rows of each kind that one answer is made of. */
export const maxRows = 2000;

/** What uses are looked for of, and what holds it. */
export interface Wanted {
  readonly target: ImpactTarget;
  readonly held: HeldTarget;
}

/** All that uses something of these, by itself or by what it consumes. */
export async function hitsOf(store: Store, all: readonly Wanted[], within?: Within): Promise<Hits> {
  const hits = new Hits();
  const found = [];
  for (const { target, held } of all) {
    const args = { target, limit: maxRows + 1, ...(within === undefined ? {} : { within }) };
    const [uses, running, holders] = await Promise.all([
      store.query('impact.usesOf', args),
      store.query('impact.heldBy', args),
      holdersOf(store, held),
    ]);
    if (uses.length > maxRows || running.length > maxRows) hits.cut();
    for (const use of uses.slice(0, maxRows)) hits.addUse(use);
    found.push({ running: running.slice(0, maxRows), holders });
  }
  hits.setHeld(found.flatMap(({ running }) => running));
  const holders = found.flatMap((each) => each.holders);
  hits.setHolders(holders.filter(({ scopeId }) => within === undefined || isWithin(within, scopeId)));
  await addConsumers(store, hits);
  return hits;
}

function isWithin(within: Within, scopeId: string): boolean {
  return 'in' in within ? within.in.includes(scopeId) : !within.notIn.includes(scopeId);
}

/** What uses a configuration that is hit is hit with it. */
export async function addConsumers(store: Store, hits: Hits): Promise<void> {
  const consumedIds = hits.configurationIds;
  if (consumedIds.length === 0) return;
  const rows = await store.query('impact.consumersOf', { consumedIds, limit: maxRows + 1 });
  if (rows.length > maxRows) hits.cut();
  for (const row of rows.slice(0, maxRows)) hits.addConsumer(row);
}

/** What uses a configuration that is about to go. @param name as whoever uses it knows it: SURFACE/NAME */
export async function consumersOf(store: Store, id: string, name: string): Promise<Hits> {
  const hits = new Hits();
  const rows = await store.query('impact.consumersOf', { consumedIds: [id], limit: maxRows + 1 });
  if (rows.length > maxRows) hits.cut();
  for (const row of rows.slice(0, maxRows)) hits.addConsumer(row, name);
  const { configurationIds } = hits;
  if (configurationIds.length > 0) await addHeld(store, hits, [{ configurationIds }]);
  return hits;
}

/** What runs of these. */
export async function addHeld(store: Store, hits: Hits, targets: readonly HeldOf[]): Promise<void> {
  const limit = maxRows + 1;
  const held = await Promise.all(targets.map((target) => store.query('impact.heldBy', { target, limit })));
  if (held.some((rows) => rows.length > maxRows)) hits.cut();
  hits.setHeld(held.flatMap((rows) => rows.slice(0, maxRows)));
}

/** What the change would be refused with, for which the write itself asks in the same words. */
export async function refusalOf(required: () => Promise<void>): Promise<Pick<Aside, 'refusal'>> {
  try {
    await required();
    return {};
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return { refusal: { code: error.code, detail: error.message } };
  }
}
