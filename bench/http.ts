// Requests a second, as a share of what plain `node:http` does on the same machine, in interleaved rounds.
import { load, requestBytes } from './load.ts';
import { deliveryKey, domain, startMeasured, startStrongroom } from './measured-server.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const rounds = 5;
const roundMilliseconds = 2000;
const warmUpRounds = 4;
const connections = 32;
/** Many launches at the same moment: more of them share a commit. */
const stormConnections = 128;

export async function run(): Promise<BenchRow[]> {
  const raw = await startMeasured('raw');
  const floor = await startMeasured('floor');
  const ours = await startStrongroom();
  try {
    const plain = requestBytes('GET', '/v1/domains/bench/secrets/db-password', { Authorization: 'Bearer x' });
    const least = requestBytes(
      'POST',
      '/v1/launches/launch/resolve',
      { Authorization: `Bearer ${'x'.repeat(47)}` },
      deliveryKey,
    );
    await ours.admin.createDomainSecret({
      params: { domain },
      body: { key: 'db-password', value: 'a-password-of-some-length', description: 'reporting database' },
    });
    const metadata = ours.metadata('db-password');
    // A launch can be resolved again for a minute.
    const newLaunch = () => ours.resolveOf('secret://domain/managed/db-password');
    const once = async (port: number, request: Buffer, atOnce = connections) =>
      (await load({ port, requests: [request], connections: atOnce, milliseconds: roundMilliseconds }))
        .requestsPerSecond;
    // A server runs for days: what is measured is the code that the runtime has optimised by then.
    await once(raw.port, plain);
    await once(floor.port, least);
    for (let round = 0; round < warmUpRounds; round += 1) {
      await once(ours.port, metadata);
      await once(ours.port, await newLaunch());
    }
    const rates: Rates = { raw: [], floor: [], metadata: [], resolve: [], rawStorm: [], floorStorm: [], storm: [] };
    for (let round = 0; round < rounds; round += 1) {
      rates.raw.push(await once(raw.port, plain));
      rates.floor.push(await once(floor.port, least));
      rates.metadata.push(await once(ours.port, metadata));
      rates.resolve.push(await once(ours.port, await newLaunch()));
      rates.rawStorm.push(await once(raw.port, plain, stormConnections));
      rates.floorStorm.push(await once(floor.port, least, stormConnections));
      rates.storm.push(await once(ours.port, await newLaunch(), stormConnections));
    }
    return report(rates);
  } finally {
    await ours.end();
    await floor.end();
    await raw.end();
  }
}

/** Requests a second, round by round. */
type Rates = Record<'raw' | 'floor' | 'metadata' | 'resolve' | 'rawStorm' | 'floorStorm' | 'storm', number[]>;

function report(rates: Rates): BenchRow[] {
  const ratio = (name: string, ours: readonly number[], raw: readonly number[], goal?: number): BenchRow => {
    const value = median(ours.map((rate, round) => rate / (raw[round] ?? Number.NaN)));
    if (goal === undefined) return { name, value, unit: 'ratio', goal: '', met: true };
    return { name, value, unit: 'ratio', goal: `≥ ${goal.toFixed(2)}`, met: value >= goal };
  };
  const rate = (name: string, each: readonly number[]): BenchRow => ({
    name,
    value: median(each),
    unit: 'requests/s',
    goal: '',
    met: true,
  });
  const resolve = 'resolve of one managed secret, durable audit';
  const bare = 'a bare one (durable-floor.ts)';
  const storm = `${stormConnections} connections`;
  return [
    ratio('metadata GET ÷ raw node:http', rates.metadata, rates.raw, 0.6),
    ratio(`${resolve} ÷ raw node:http`, rates.resolve, rates.raw, 0.25),
    ratio(`${resolve}, ${storm} ÷ raw node:http`, rates.storm, rates.rawStorm, 0.25),
    ratio(`${bare} ÷ raw node:http`, rates.floor, rates.raw),
    ratio(`${bare}, ${storm} ÷ raw node:http`, rates.floorStorm, rates.rawStorm),
    ratio(`${resolve} ÷ ${bare}`, rates.resolve, rates.floor),
    ratio(`${resolve} ÷ ${bare}, ${storm}`, rates.storm, rates.floorStorm),
    rate('raw node:http', rates.raw),
    rate('metadata GET', rates.metadata),
    rate('resolve', rates.resolve),
    rate(`resolve, ${storm}`, rates.storm),
  ];
}
