import type { Answer, RequestOptions, TestServer } from './app.ts';

/** One request of a matrix; `about` is what a failure says. */
export interface Call {
  readonly about: string;
  readonly method: string;
  readonly path: string;
  readonly options: RequestOptions;
}

/** Everything a caller can tell two answers apart by. */
export function shape(answer: Answer): string {
  const requestId = answer.headers.get('x-request-id') ?? '';
  const passing = new Set(['x-request-id', 'date', 'connection', 'keep-alive']);
  const headers = [...answer.headers].filter(([name]) => !passing.has(name));
  return JSON.stringify([answer.status, answer.text.replace(requestId, ''), headers]);
}

/** Sends them all and gives for each different answer who got it. */
async function shapesOf(test: TestServer, calls: readonly Call[]): Promise<Map<string, string[]>> {
  const shapes = new Map<string, string[]>();
  await Promise.all(
    calls.map(async ({ about, method, path, options }) => {
      const answer = shape(await test.request(method, path, options));
      shapes.set(answer, [...(shapes.get(answer) ?? []), about]);
    }),
  );
  return shapes;
}

/**
 * The status of the one answer that all of these get; where answers differ, each of the rarer ones with who got it.
 */
export async function oneAnswer(test: TestServer, calls: readonly Call[]): Promise<readonly (number | string)[]> {
  const found = [...(await shapesOf(test, calls))].toSorted(([, a], [, b]) => b.length - a.length);
  return found.map(([answer, who], index) => {
    const status = JSON.parse(answer)[0] as number;
    return index === 0 ? status : `${status} for ${who.join(', ')}: ${answer}`;
  });
}

/** Rows of every table that a refusal has no business in. */
export async function rowCounts(test: TestServer): Promise<Record<string, number>> {
  const { db } = test.server.store;
  const tables = [
    'principals',
    'group_members',
    'tokens',
    'scopes',
    'members',
    'grants',
    'bundles',
    'bundle_assets',
    'bundle_grants',
    'secret_assignments',
    'secrets',
    'secret_versions',
    'integrations',
    'integration_credentials',
    'integration_assignments',
    'profiles',
    'profile_bindings',
    'configurations',
    'uses',
    'launches',
    'runs',
    'settings',
    'key_terms',
    'idempotency',
  ] as const;
  const counts = await Promise.all(
    tables.map(async (table) => {
      const { rows } = await db
        .selectFrom(table)
        .select((each) => each.fn.countAll<number>().as('rows'))
        .executeTakeFirstOrThrow();
      return [table, rows] as const;
    }),
  );
  return Object.fromEntries(counts);
}
