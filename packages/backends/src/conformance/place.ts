import { randomUUID } from 'node:crypto';
import type { Backend } from '../backend.ts';
import type { ConformancePlace } from './context.ts';

/**
 * A place that is written through a backend itself: for an operator who lets the suite write under a prefix of a writable
 * backend. `open` should be an instance of its own; `close` it afterwards.
 */
export function placeThrough(backend: Backend, signal: AbortSignal): ConformancePlace {
  const expect = { kind: 'any' } as const;
  return {
    seed: async (key, content) => {
      await backend.put(key, content, { signal, expect, intentId: randomUUID() });
    },
    remove: (key) => backend.delete(key, { signal, expect }),
  };
}
