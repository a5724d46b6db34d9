/**
 * A bounded cache of what was read at one authorisation revision: an entry counts only while that revision stands, so
 * there is nothing to invalidate. The least recently used entry goes first.
 */
export interface RevisionCache<Value extends { readonly revision: number }> {
  /** The value of `key` at `revision`, loading it when needed; callers at the same revision share one load. */
  get(key: string, revision: number, load: () => Promise<Value | null>): Promise<Value | null>;
  /** The value of `key` at `revision` when it is here. */
  peek(key: string, revision: number | null): Value | undefined;
}

export function createRevisionCache<Value extends { readonly revision: number }>(
  maxEntries: number,
): RevisionCache<Value> {
  const entries = new Map<string, Value>();
  const loads = new Map<string, Promise<Value | null>>();

  async function loadOnce(key: string, loadKey: string, load: () => Promise<Value | null>): Promise<Value | null> {
    try {
      const value = await load();
      if (value === null) return null;
      entries.delete(key);
      entries.set(key, value);
      const [oldest] = entries.keys();
      if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest);
      return value;
    } finally {
      loads.delete(loadKey);
    }
  }

  function peek(key: string, revision: number | null): Value | undefined {
    const cached = entries.get(key);
    if (cached === undefined || cached.revision !== revision) return undefined;
    // Order says who goes first only where somebody has to go.
    if (entries.size > maxEntries / 2) {
      entries.delete(key);
      entries.set(key, cached);
    }
    return cached;
  }

  return {
    peek,
    async get(key, revision, load) {
      const cached = peek(key, revision);
      if (cached !== undefined) return cached;
      // A load that began at this revision reads this revision or a later one, so it may be shared; an earlier one may not.
      const loadKey = `${revision}:${key}`;
      const shared = loads.get(loadKey);
      if (shared !== undefined) return shared;
      const started = loadOnce(key, loadKey, load);
      loads.set(loadKey, started);
      return started;
    },
  };
}
