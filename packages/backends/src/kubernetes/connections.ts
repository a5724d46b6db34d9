import type { ApiConnection } from './api.ts';
import { type OperatorAccess, OperatorConnection } from './operator-connection.ts';

interface Shared {
  readonly connection: OperatorConnection;
  users: number;
}

const shared = new Map<string, Shared>();

/** The connection of all stores that sign in alike, closed with the last of them: a store for each domain needs no TLS of its own. */
export function shareConnection(
  { inCluster, kubeconfigPath }: OperatorAccess,
  now: () => number,
): { readonly connection: ApiConnection; readonly release: () => Promise<void> } {
  const key = JSON.stringify([inCluster, kubeconfigPath]);
  const entry = shared.get(key) ?? { connection: new OperatorConnection({ inCluster, kubeconfigPath }, now), users: 0 };
  shared.set(key, entry);
  entry.users += 1;
  const release = async (): Promise<void> => {
    entry.users -= 1;
    if (entry.users > 0) return;
    shared.delete(key);
    await entry.connection.close();
  };
  return { connection: entry.connection, release };
}
