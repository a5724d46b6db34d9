import { formatReference, StrongroomError } from '@strongroom/contract';
import type { Backend, Entry } from '@strongroom/backends';
import { SecretValue } from '@strongroom/crypto';
import type { AccessService } from '../access/service.ts';
import { listedPages } from '../listed-pages.ts';
import { judgeAll, maxEntries } from '../secrets/import-file.ts';
import { type OpenIntegrationSource, orReason } from '../secrets/import-source.ts';
import type { ParsedValue } from '../secrets/values.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import { integrationEvent } from './events.ts';
import type { OpenedBackends } from './opened-backends.ts';

const pageSize = 500;
const deadlineMilliseconds = 50_000;

/**
 * Makes integrations sources of imports: who has USE reads the keys, and each value that is read is on record before. A `/`
 * in a key becomes a hyphen; two keys that become one are both named and nothing is imported.
 */
export function integrationSources(
  store: Store,
  access: AccessService,
  backends: OpenedBackends,
  areIntegrationsEnabled: () => MaybePromise<boolean>,
): OpenIntegrationSource {
  return async (caller, scope, part, requestSignal) => {
    // Of Global, where an import of a file goes on working.
    if (!(await areIntegrationsEnabled())) throw new StrongroomError('feature_disabled');
    const asset = await access.configurationAsset(scope, 'integration', part.integration);
    if (asset === null) throw new StrongroomError('not_found');
    await access.require(caller, 'integration.use', { kind: 'asset', asset });
    const signal = AbortSignal.any([requestSignal, AbortSignal.timeout(deadlineMilliseconds)]);
    const backend = await backends.open(asset.id);
    const begin = part.prefix ?? '';
    const keys = await listKeys(backend, begin, signal);
    const entries = judgeAll(
      keys.map((from) => ({ key: `${part.keyPrefix}${from.slice(begin.length).replaceAll('/', '-')}`, from })),
    );
    const origins = new Map(entries.flatMap((entry) => ('from' in entry ? [[entry.key, entry.from] as const] : [])));
    let fetched: ReadonlyMap<string, Entry | null | StrongroomError> | undefined;

    const read = async (wanted: readonly string[]): Promise<ReadonlyMap<string, Entry | null | StrongroomError>> => {
      const from = wanted.flatMap((key) => origins.get(key) ?? []);
      if (from.length === 0) return new Map();
      await store.execute('access.record', undefined, {
        audit: from.map((key) => ({
          ...integrationEvent(caller, scope, 'secret.import', asset, ['read']),
          reference: formatReference({ scope: scope.kind, source: asset.name, key }),
          source: asset.name,
        })),
      });
      return backend.getMany(from, { signal });
    };

    return {
      entries,
      hasValues: false,
      async take(wanted) {
        fetched ??= await read(wanted);
        return new Map(
          wanted.map((key) => [key, orReason(() => copyOf(fetched?.get(origins.get(key) ?? ''), part.maxValueBytes))]),
        );
      },
      close: () => {
        for (const entry of fetched?.values() ?? [])
          if (entry !== null && !(entry instanceof StrongroomError)) entry.value.destroy();
        fetched = undefined;
      },
    };
  };
}

/** @throws StrongroomError `limit_exceeded`, `validation_failed` when there is none; of the backend */
async function listKeys(backend: Backend, begin: string, signal: AbortSignal): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of listedPages((start) => backend.list({ limit: pageSize, signal, ...start }))) {
    keys.push(...page.items.map(({ key }) => key).filter((key) => key.startsWith(begin) && key !== begin));
    if (keys.length > maxEntries)
      throw new StrongroomError('limit_exceeded', {
        detail: `The integration has more than ${maxEntries} keys that begin like this.`,
        hint: 'Import them part by part, with a longer prefix.',
      });
  }
  if (keys.length > 0) return keys;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: '/from/prefix', message: 'the integration has no key that begins like this' }],
  });
}

function copyOf(entry: Entry | null | undefined | StrongroomError, maxBytes: number): ParsedValue | string {
  if (entry === null || entry === undefined) return 'is not there any more';
  if (entry instanceof StrongroomError) return entry.message;
  if (entry.value.byteLength > maxBytes) return `is larger than the store's limit of ${maxBytes} bytes`;
  const bytes = entry.value.reveal();
  try {
    const fieldNames = entry.fieldNames === null ? null : JSON.stringify(entry.fieldNames);
    return { value: SecretValue.fromBytes(bytes), shape: entry.shape, fieldNames };
  } finally {
    bytes.fill(0);
  }
}
