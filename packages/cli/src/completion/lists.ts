import { type Client, StrongroomError } from '@strongroom/sdk';
import { connect } from '../connection.ts';
import { UsageError } from '../errors.ts';
import type { Io } from '../io.ts';
import { pageSize } from '../lists.ts';
import { routeIn, scopeOf } from '../scope.ts';
import type { Candidate } from './words.ts';

type Options = ReadonlyMap<string, string>;
type Query = { readonly limit: number; readonly q?: string };
type Lookup = (client: Client, query: Query, options: Options) => AsyncIterable<Candidate>;

const most = 100;
/** A shell waits for this; nothing is better than late. */
const timeoutMilliseconds = 1000;

/** What a shell takes for nothing but itself: it puts the word into the line as it comes, whoever named it. */
const plainWord = /^[\w.@:/+=,-][\w.@:/+=,~-]*$/;

/** What each list offers, by the name of the option or argument that takes it. */
const lookups: ReadonlyMap<string, Lookup> = new Map<string, Lookup>([
  ['domain', (client, query) => named(client.items('listDomains', { query }))],
  ['user', (client, query) => named(client.items('listUsers', { query }))],
  ['group', (client, query) => named(client.items('listGroups', { query }))],
  ['job', (client, query, options) => named(client.items('listSparkJobs', { params: domainOf(options), query }))],
  [
    'cluster',
    (client, query, options) => named(client.items('listComputeClusters', { params: domainOf(options), query })),
  ],
  ['notebook', (client, query, options) => named(client.items('listNotebooks', { params: domainOf(options), query }))],
  [
    'storage',
    (client, query, options) => named(client.items('listStorageConfigs', { params: domainOf(options), query })),
  ],
  [
    'connection',
    (client, query, options) => named(client.items('listConnections', { params: domainOf(options), query })),
  ],
  ['bundle', (client, query, options) => named(client.items('listBundles', { params: domainOf(options), query }))],
  ['service-account', serviceAccounts],
  ['token', serviceAccounts],
  ['workload', serviceAccounts],
  ['kubernetes-cluster', (client, query) => named(client.items('listClusters', { query }))],
  ['key', secretKeys],
  ['run', runs],
]);

/** Names of what the server has, as far as whoever is signed in may see them; none without an answer in time. */
export async function lookUp(io: Io, what: string, typed: string, options: Options): Promise<readonly Candidate[]> {
  const lookup = lookups.get(what);
  if (lookup === undefined) return [];
  const found: Candidate[] = [];
  try {
    const client = await connect(io, timeoutMilliseconds);
    const query = { limit: pageSize(most), ...(typed === '' ? {} : { q: typed }) };
    for await (const candidate of lookup(client, query, options)) {
      if (candidate.word.startsWith(typed) && plainWord.test(candidate.word)) found.push(candidate);
      if (found.length === most) break;
    }
  } catch (error) {
    // Somebody is typing: nothing can be said, and nothing is lost.
    if (!(error instanceof StrongroomError || error instanceof UsageError)) throw error;
  }
  return found;
}

async function* named(
  items: AsyncIterable<{ readonly name: string; readonly displayName?: string }>,
): AsyncGenerator<Candidate> {
  for await (const { name, displayName } of items) yield { word: name, summary: displayName ?? '' };
}

function serviceAccounts(client: Client, query: Query, options: Options): AsyncIterable<Candidate> {
  const domain = options.get('domain');
  return named(
    domain === undefined
      ? client.items('listServiceAccounts', { query })
      : client.items('listDomainServiceAccounts', { params: { domain }, query }),
  );
}

async function* secretKeys(client: Client, query: Query, options: Options): AsyncGenerator<Candidate> {
  const domain = options.get('domain');
  const scope = scopeOf({
    ...(domain === undefined ? {} : { domain }),
    ...(options.has('global') ? { global: true } : {}),
    ...(options.has('admin') ? { admin: true } : {}),
  });
  const input = { params: scope.params, query: { ...query, source: 'managed' } };
  for await (const item of client.items(routeIn(scope, 'list', 'Secrets'), input))
    yield { word: item.key, summary: 'isReadOnly' in item ? '' : item.description };
}

async function* runs(client: Client, query: Query, options: Options): AsyncGenerator<Candidate> {
  const input = { params: domainOf(options), query: { limit: query.limit } };
  for await (const { id, job, state } of client.items('listRuns', input))
    yield { word: id, summary: `${job.name}, ${state}` };
}

function domainOf(options: Options): { readonly domain: string } {
  const domain = options.get('domain');
  if (domain === undefined) throw new UsageError('no domain is named');
  return { domain };
}
