// Requests a second, as a share of what plain `node:http` does on the same machine, in interleaved rounds.
import { load, requestBytes } from './load.ts';
import { domain, startMeasured, startStrongroom } from './measured-server.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const rounds = 5;
const roundMilliseconds = 2000;
const warmUpRounds = 4;
const connections = 32;

export async function run(): Promise<BenchRow[]> {
  const raw = await startMeasured('raw');
  const ours = await startStrongroom();
  try {
    const plain = requestBytes('GET', '/v1/domains/bench/secrets/db-password', { Authorization: 'Bearer x' });
    await ours.admin.createDomainSecret({
      params: { domain },
      body: { key: 'db-password', value: 'a-password-of-some-length', description: 'reporting database' },
    });
    const metadata = ours.metadata('db-password');
    const resolve = await ours.resolveOf('secret://domain/managed/db-password');
    const once = async (port: number, request: Buffer) =>
      (await load({ port, requests: [request], connections, milliseconds: roundMilliseconds })).requestsPerSecond;
    // A server runs for days: what is measured is the code that the runtime has optimised by then.
    await once(raw.port, plain);
    for (let round = 0; round < warmUpRounds; round += 1) {
      await once(ours.port, metadata);
      await once(ours.port, resolve);
    }
    const ratios = { metadata: [] as number[], resolve: [] as number[] };
    const rates = { raw: [] as number[], metadata: [] as number[], resolve: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      const base = await once(raw.port, plain);
      const get = await once(ours.port, metadata);
      const resolved = await once(ours.port, resolve);
      rates.raw.push(base);
      rates.metadata.push(get);
      rates.resolve.push(resolved);
      ratios.metadata.push(get / base);
      ratios.resolve.push(resolved / base);
    }
    const get = median(ratios.metadata);
    const resolved = median(ratios.resolve);
    return [
      { name: 'metadata GET ÷ raw node:http', value: get, unit: 'ratio', goal: '≥ 0.60', met: get >= 0.6 },
      {
        name: 'resolve of one managed secret, durable audit ÷ raw node:http',
        value: resolved,
        unit: 'ratio',
        goal: '≥ 0.25',
        met: resolved >= 0.25,
      },
      { name: 'raw node:http', value: median(rates.raw), unit: 'requests/s', goal: '', met: true },
      { name: 'metadata GET', value: median(rates.metadata), unit: 'requests/s', goal: '', met: true },
      { name: 'resolve', value: median(rates.resolve), unit: 'requests/s', goal: '', met: true },
    ];
  } finally {
    await ours.end();
    await raw.end();
  }
}
