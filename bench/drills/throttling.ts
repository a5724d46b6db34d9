// A backend that is overloaded, answers with errors, or refuses: retries are a share of the calls, wait as long as they are asked to,
// and are made of nothing that they would not change. A launch meanwhile is refused with its cause, and gets no other value.
//
//     node bench/drills/throttling.ts [launches=100]
//
// The real server as a process of its own, over a backend that speaks Vault's KV version 2; each launch reads a secret that no other
// reads, so that none is answered along with another.
import { rmSync } from 'node:fs';
import { createClient, StrongroomError } from '@strongroom/sdk';
import { openLaunch } from '@strongroom/sdk/workload';
import { openLoopbackVault, type Refusal } from '../../packages/server/testing/loopback-vault.ts';
import { createServerProcess } from '../server-process.ts';
import { addReader, domain } from './ledger.ts';

/** Of requests to calls, over the whole drill and at every moment of it. */
const mostRequests = 1.2;
const atOnce = 20;
const launches = Number(process.argv[2] ?? 100);
/** What is answered, and what the launch says of it. */
const outages: readonly (readonly [Refusal, cause: string])[] = [
  [{ status: 503 }, 'backend_unavailable'],
  [{ status: 429 }, 'backend_throttled'],
  [{ status: 429, retryAfterSeconds: 1 }, 'backend_throttled'],
  [{ status: 503, retryAfterSeconds: 1 }, 'backend_unavailable'],
  [{ status: 500 }, 'backend_unavailable'],
  [{ status: 502 }, 'backend_unavailable'],
  [{ status: 504 }, 'backend_unavailable'],
];
const refusals: readonly (readonly [Refusal, cause: string])[] = [
  [{ status: 400 }, 'backend_malformed'],
  [{ status: 403 }, 'backend_denied'],
  [{ status: 404 }, 'reference_unresolved'],
  [{ status: 405 }, 'backend_malformed'],
  [{ status: 422 }, 'backend_malformed'],
];

let made = 0;
let calls = 0;
let requests = 0;
let worst = 0;
/** When each secret was asked for. */
const asked = new Map<string, number[]>();
const rounds = outages.length + refusals.length + 3;
const secrets = Object.fromEntries(
  Array.from({ length: rounds * launches }, (_, n) => [`app/key-${n}`, { value: `value of key-${n}` }]),
);
const vault = await openLoopbackVault({ secrets });
const server = await createServerProcess();
try {
  await server.start();
  const admin = createClient({ url: server.url, token: server.token });
  await admin.createDomain({ body: { name: domain } });
  await admin.createDomainIntegration({
    params: { domain },
    body: {
      name: 'overloaded',
      type: 'VAULT',
      settings: { address: vault.url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
      credentials: { token: vault.token },
    },
  });
  const reader = await addReader(admin, server.url);

  /** Launches one secret. @returns why it was refused, or undefined when its value was delivered */
  const launchOnce = async (): Promise<string | undefined> => {
    const key = `key-${made++}`;
    calls += 1;
    try {
      const opened = await openLaunch(reader, {
        domain,
        references: [{ name: 'VALUE', reference: `secret://domain/overloaded/${key}` }],
      });
      const delivered = await opened.resolve();
      if (delivered.text('VALUE') !== `value of ${key}`) throw new Error(`${key} was delivered as something else`);
      return undefined;
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return error.errors?.map(({ code }) => code).join(', ') ?? error.code;
    }
  };
  /** As many as the drill is asked for, so many at once. @returns how many ended how */
  const round = async (refuse: (path: string) => Refusal | undefined): Promise<ReadonlyMap<string, number>> => {
    vault.refuse = (path) => {
      requests += 1;
      worst = Math.max(worst, requests / calls);
      const times = asked.get(path) ?? [];
      asked.set(path, [...times, performance.now()]);
      return refuse(path);
    };
    const ends = new Map<string, number>();
    let left = launches;
    const work = async (): Promise<void> => {
      while (left-- > 0) {
        const end = (await launchOnce()) ?? 'delivered';
        ends.set(end, (ends.get(end) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return ends;
  };
  const say = (what: string, sent: number, ends: ReadonlyMap<string, number>): void =>
    console.log(
      `${what}: ${launches} launches, ${sent} requests; ${[...ends].map(([end, n]) => `${n} ${end}`).join(', ')}`,
    );

  for (const [refusal, cause] of outages) {
    const before = requests;
    asked.clear();
    const ends = await round(() => refusal);
    const { status, retryAfterSeconds } = refusal;
    say(
      `${status}${retryAfterSeconds === undefined ? '' : `, Retry-After ${retryAfterSeconds}`}`,
      requests - before,
      ends,
    );
    if (ends.get(cause) !== launches) throw new Error(`Not every launch said ${cause}`);
    if (requests - before === launches) throw new Error('Nothing was tried again');
    for (const times of asked.values())
      for (const [index, at] of times.slice(1).entries())
        if (at - (times[index] ?? 0) < (retryAfterSeconds ?? 0) * 1000)
          throw new Error('A retry came sooner than it was asked to');
  }
  for (const [refusal, cause] of refusals) {
    const before = requests;
    const ends = await round(() => refusal);
    say(`${refusal.status}`, requests - before, ends);
    if (ends.get(cause) !== launches) throw new Error(`Not every launch said ${cause}`);
    if (requests - before !== launches) throw new Error('A refusal was tried again, or something was not asked for');
  }
  for (const share of [0.1, 0]) {
    const before = requests;
    let answered = 0;
    const ends = await round(() => (share > 0 && answered++ % (1 / share) === 0 ? { status: 503 } : undefined));
    say(share === 0 ? 'well again' : `503 to one in ${1 / share}`, requests - before, ends);
    if (ends.get('delivered') !== launches) throw new Error('Not every launch got its value');
  }
  if (worst > mostRequests) throw new Error(`There were ${worst} requests a call`);
  console.log(
    `${calls} launches, ${requests} requests: ${worst.toFixed(2)} a call at most, no retry before its time, none of a refusal, and every launch had its value or its cause`,
  );
} finally {
  await server.end('SIGKILL');
  await vault.close();
  rmSync(server.directory, { recursive: true, force: true });
}
