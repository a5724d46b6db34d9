import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';

/** A backend of which only the keys with a prefix are there: nothing is asked about others. */
export function withinPrefix(backend: Backend, prefix: string): Backend {
  if (prefix === '') return backend;
  const isWithin = (key: string): boolean => key.startsWith(prefix);
  const amongKeys = async <Answer>(
    keys: readonly string[],
    ask: (keys: readonly string[]) => Promise<ReadonlyMap<string, Answer>>,
  ): Promise<ReadonlyMap<string, Answer | StrongroomError>> => {
    const refused = keys.filter((key) => !isWithin(key)).map((key) => [key, outside(prefix)] as const);
    const asked = keys.filter(isWithin);
    const found = asked.length === 0 ? [] : await ask(asked);
    return new Map<string, Answer | StrongroomError>([...found, ...refused]);
  };
  const requireWithin = (key: string): void => {
    if (!isWithin(key)) throw outside(prefix);
  };
  const versions = backend.versions?.bind(backend);
  return {
    type: backend.type,
    capabilities: backend.capabilities,
    ...(versions === undefined
      ? {}
      : {
          versions: (keys, options) => amongKeys(keys, (asked) => versions(asked, options)),
        }),
    async get(key, options) {
      requireWithin(key);
      return backend.get(key, options);
    },
    getMany: (keys, options) => amongKeys(keys, (asked) => backend.getMany(asked, options)),
    check: (options) => backend.check(options),
    async list(options) {
      const page = await backend.list(options);
      return { ...page, items: page.items.filter(({ key }) => isWithin(key)) };
    },
    async put(key, content, options) {
      requireWithin(key);
      return backend.put(key, content, options);
    },
    async delete(key, options) {
      requireWithin(key);
      return backend.delete(key, options);
    },
    close: () => backend.close(),
  };
}

function outside(prefix: string): StrongroomError {
  return new StrongroomError('backend_denied', {
    detail: `The profile of this integration is for keys that begin with ${prefix}.`,
    hint: 'Ask a platform administrator for another prefix.',
  });
}
