import type { Backend, CallOptions } from '../backend.ts';

export type BackendMethod = 'get' | 'getMany' | 'versions' | 'check' | 'list' | 'put' | 'delete';

export interface BackendCall {
  readonly method: BackendMethod;
  /** What it is about; none for `check` and `list`. Names: not for metrics. */
  readonly keys: readonly string[];
}

/**
 * Stands around a call. `run` makes it, with the signal that it is given, as often as it is called.
 */
export type Around = <T>(
  call: BackendCall,
  run: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

/** A backend whose calls all go through one function; `close` goes straight on. */
export function intercept(backend: Backend, around: Around): Backend {
  const call = <T, O extends CallOptions>(
    method: BackendMethod,
    keys: readonly string[],
    options: O,
    run: (options: O) => Promise<T>,
  ): Promise<T> => around({ method, keys }, (signal) => run({ ...options, signal }), options.signal);
  const versions = backend.versions?.bind(backend);
  return {
    type: backend.type,
    capabilities: backend.capabilities,
    ...(versions === undefined
      ? {}
      : {
          versions: (keys, options) => call('versions', keys, options, (changed) => versions(keys, changed)),
        }),
    get: (key, options) => call('get', [key], options, (changed) => backend.get(key, changed)),
    getMany: (keys, options) => call('getMany', keys, options, (changed) => backend.getMany(keys, changed)),
    check: (options) => call('check', [], options, (changed) => backend.check(changed)),
    list: (options) => call('list', [], options, (changed) => backend.list(changed)),
    put: (key, content, options) => call('put', [key], options, (changed) => backend.put(key, content, changed)),
    delete: (key, options) => call('delete', [key], options, (changed) => backend.delete(key, changed)),
    close: () => backend.close(),
  };
}
