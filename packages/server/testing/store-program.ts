import { setTimeout as sleep } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import { sql } from 'kysely';
import type { AuditEvent } from '../src/audit/event.ts';
import { keyCommands } from '../src/keys/commands.ts';
import { keyQueries } from '../src/keys/queries.ts';
import { isUniqueViolation } from '../src/store/errors.ts';
import { type LeaseToken, requireLease } from '../src/store/leases.ts';
import { storeCommands } from '../src/store/store-commands.ts';
import { type CommandContext, hotStatement, type QueryContext } from '../src/store/store.ts';
import { beHeld } from './hold.ts';

/** Commands and queries that try the store itself: they write settings, and fail on request. */
export { createAuditChain } from '../src/audit/chain.ts';

interface Setting {
  readonly key: string;
  readonly value: string;
}

export function testEvent(name: string): AuditEvent {
  return {
    principal: 'system',
    principalName: 'system',
    action: 'alarm',
    outcome: 'allowed',
    object: { type: 'setting', id: name, name },
  };
}

async function insert(context: CommandContext, { key, value }: Setting): Promise<void> {
  await context.db
    .insertInto('settings')
    .values({ key, value, revision: 1, updated_at: context.now, updated_by: 'system' })
    .execute();
}

const insertHot = hotStatement('test.insert', (db) =>
  db
    .insertInto('settings')
    .values({ key: '', value: '', revision: sql.lit(1), updated_at: 0, updated_by: sql.lit('system') })
    .compile(),
);
const readHot = hotStatement('test.read', (db) =>
  db.selectFrom('settings').select('value').where('key', '=', '').compile(),
);

export const commands = {
  ...keyCommands,
  ...storeCommands,
  'test.insert': async (context: CommandContext, args: Setting) => {
    await insert(context, args);
    return { now: context.now, epoch: context.epoch };
  },
  'test.insertHot': async (context: CommandContext, { key, value }: Setting) => {
    await context.run(insertHot, [key, value, context.now]);
    return context.first(readHot, [key]);
  },
  'test.wrongParameters': async (context: CommandContext, { key }: { readonly key: string }) => {
    await context.run(insertHot, [key]);
  },
  'test.insertAndRefuse': async (context: CommandContext, args: Setting) => {
    await insert(context, args);
    context.audit(testEvent(args.key));
    throw new StrongroomError('already_exists', {
      detail: 'Refused on request.',
      errors: [{ pointer: '/key', message: 'is taken' }],
      retryAfterSeconds: 7,
    });
  },
  'test.insertAndCrash': async (context: CommandContext, args: Setting) => {
    await insert(context, args);
    throw new RangeError('Crashed on request');
  },
  'test.insertMapped': async (context: CommandContext, args: Setting) => {
    try {
      await insert(context, args);
    } catch (error) {
      if (isUniqueViolation(error)) throw new StrongroomError('key_clash', { cause: error });
      throw error;
    }
  },
  'test.insertSwallowing': async (context: CommandContext, args: Setting) => {
    await insert(context, args).catch(() => undefined);
    return 'went on';
  },
  'test.insertAndAudit': async (context: CommandContext, args: Setting & { readonly records: number }) => {
    await insert(context, args);
    for (let record = 0; record < args.records; record += 1) context.audit(testEvent(`${args.key}-${record}`));
  },
  'test.bump': (context: CommandContext) => context.bumpAuthorisation(),
  'test.bumpAndRefuse': async (context: CommandContext) => {
    await context.bumpAuthorisation();
    throw new StrongroomError('state_conflict');
  },
  'test.nothing': async () => undefined,
  'test.hold': (_context: CommandContext, { directory }: { readonly directory: string }) => beHeld(directory),
  'test.issue': async (context: CommandContext, { key }: { readonly key: string }) => {
    await insert(context, { key, value: 'issued' });
    return { id: `tok_${key}`, lastFour: 'abcd' };
  },
  'test.complete': async (context: CommandContext, args: Setting & { readonly lease: LeaseToken }) => {
    await requireLease(context, args.lease);
    await insert(context, args);
  },
  /** Updates two rows with a pause between them: two lanes doing it crosswise deadlock. */
  'test.updateBoth': async (
    context: CommandContext,
    args: { readonly keys: readonly string[]; readonly value: string },
  ) => {
    for (const key of args.keys) {
      await context.db.updateTable('settings').set({ value: args.value }).where('key', '=', key).execute();
      await sleep(100);
    }
  },
  /** SQLite only: the database can't grow beyond this many pages; 0 lifts the limit. */
  'test.limitPages': async (context: CommandContext, { pages }: { readonly pages: number }) => {
    await sql.raw(`pragma max_page_count = ${pages === 0 ? 2 ** 31 : pages}`).execute(context.db);
  },
  'test.exit': async () => {
    process.exit(3);
  },
};

export const queries = {
  ...keyQueries,
  'test.list': async (context: QueryContext, { prefix }: { readonly prefix: string }) =>
    context.db.selectFrom('settings').select('key').where('key', 'like', `${prefix}%`).orderBy('key').execute(),
  'test.types': async (context: QueryContext) =>
    context.db
      .selectFrom('audit_records')
      .select((row) => [row.fn.countAll<number>().as('count'), row.fn.sum<number>('sequence').as('sum')])
      .executeTakeFirstOrThrow(),
  'test.refuse': async () => {
    throw new StrongroomError('not_found', { detail: 'Refused on request.' });
  },
};

export type TestCommands = typeof commands;
export type TestQueries = typeof queries;
