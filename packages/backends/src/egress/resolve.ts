import { lookup, type Resolver } from 'node:dns/promises';

/** Finds all addresses of a name; throws Node's own error when there is none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/**
 * The system's resolver (getaddrinfo): the hosts file and the search domains of the machine, which names inside a cluster
 * need. It takes a thread of the pool until it answers, also when nobody waits for it any more.
 */
export const resolveBySystem: Resolve = async (host) => {
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
};

/** Asks the servers of this resolver, A and AAAA at once. */
export function resolveByServers(resolver: Resolver): Resolve {
  return async (host) => {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const [failed] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    if (found.length === 0 && failed instanceof Error) throw failed;
    return found;
  };
}
