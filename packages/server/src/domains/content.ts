import { StrongroomError } from '@strongroom/contract/core';
import type { QueryContext } from '../store/store.ts';

type Context = Pick<QueryContext, 'db'>;

/** How much a domain holds that goes with it. */
export interface DomainContent {
  readonly configurations: number;
  readonly secrets: number;
  readonly integrations: number;
  readonly serviceAccounts: number;
}

export async function contentOf({ db }: Context, scopeId: string): Promise<DomainContent> {
  const count = async (table: 'configurations' | 'secrets' | 'principals'): Promise<number> => {
    const { rows } = await db
      .selectFrom(table)
      .select((column) => column.fn.countAll<number>().as('rows'))
      .where('scope_id', '=', scopeId)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow();
    return rows;
  };
  const integrations = await db
    .selectFrom('integrations')
    .select((column) => column.fn.countAll<number>().as('rows'))
    .where('scope_id', '=', scopeId)
    .executeTakeFirstOrThrow();
  return {
    configurations: await count('configurations'),
    secrets: await count('secrets'),
    integrations: integrations.rows,
    serviceAccounts: await count('principals'),
  };
}

/**
 * That a domain can be deleted: its runs have ended, and what is on its way into a store outside the database has come to its
 * end, so that it can be purged.
 * @throws StrongroomError `state_conflict`
 */
export async function requireNothingUnderWay({ db }: Context, scopeId: string): Promise<void> {
  const { rows: runs } = await db
    .selectFrom('runs')
    .select((column) => column.fn.countAll<number>().as('rows'))
    .where('scope_id', '=', scopeId)
    .where('state', 'in', ['queued', 'running'])
    .executeTakeFirstOrThrow();
  if (runs > 0)
    throw new StrongroomError('state_conflict', {
      detail: `${runs} runs of this domain are going on. Stop them first.`,
    });
  const pending = await db
    .selectFrom('write_intents')
    .select('id')
    .where('scope_id', '=', scopeId)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  if (pending !== undefined)
    throw new StrongroomError('state_conflict', {
      detail: 'Secrets of this domain are being written. Try again in a moment.',
    });
}
