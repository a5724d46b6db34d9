// What a job with references waits for, from being asked for to its first own act, as a share of starting the same process bare.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Client } from '@strongroom/sdk';
import { domain, startStrongroom } from './measured-server.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const references = 50;
const rounds = 21;
const warmUps = 3;
const name = 'measured';

/** Its first act is to say that it is there. */
const program = (port: number): readonly string[] => [
  process.execPath,
  '-e',
  `require('node:net').connect(${port}, '127.0.0.1').end()`,
];

export async function run(): Promise<BenchRow[]> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const server = await startStrongroom();
  try {
    const command = program((listener.address() as AddressInfo).port);
    const environment = await createJob(server.admin, command);
    const [ratios, added]: [number[], number[]] = [[], []];
    for (let round = -warmUps; round < rounds; round += 1) {
      const bare = await untilThere(listener, () => startBare(command, environment));
      const launched = await untilThere(listener, () => startRun(server.admin));
      await ended(server.admin);
      if (round < 0) continue;
      ratios.push(launched / bare);
      added.push(launched - bare);
    }
    return rows(median(ratios), median(added));
  } finally {
    listener.close();
    await server.end();
  }
}

function rows(ratio: number, addedMilliseconds: number): BenchRow[] {
  const what = `launch of a ${references}-reference spark-job by the process runner`;
  return [
    { name: `${what} ÷ bare spawn of the same process`, value: ratio, unit: 'ratio', goal: '≤ 2', met: ratio <= 2 },
    { name: `${what}, beyond the bare spawn`, value: addedMilliseconds, unit: 'ms', goal: '', met: true },
  ];
}

/** Makes the secrets and the job; gives the variables as its process gets them. */
async function createJob(admin: Client, command: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const environment: Record<string, string> = {};
  for (let index = 0; index < references; index += 1) {
    const value = `a value of some length ${index}`;
    await admin.createDomainSecret({ params: { domain }, body: { key: `key-${index}`, value } });
    environment[`SECRET_${index}`] = value;
  }
  await admin.createSparkJob({
    params: { domain },
    body: {
      name,
      command: [...command],
      environment: Object.keys(environment).map((variable, index) => ({
        name: variable,
        secret: `secret://domain/managed/key-${index}`,
      })),
    },
  });
  return environment;
}

/** Milliseconds from `start` until the process is there. */
async function untilThere(listener: Server, start: () => Promise<void>): Promise<number> {
  const there = once(listener, 'connection', { signal: AbortSignal.timeout(60_000) });
  const begun = performance.now();
  const started = start();
  await Promise.race([there, started.then(() => there)]);
  const milliseconds = performance.now() - begun;
  await started;
  return milliseconds;
}

async function startBare([file = '', ...args]: readonly string[], environment: Readonly<Record<string, string>>) {
  const child = spawn(file, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  await once(child, 'close');
}

async function startRun(admin: Client): Promise<void> {
  await admin.runSparkJob({ params: { domain, name } });
}

/** So that no run is measured while another one ends. @throws Error when it didn't succeed */
async function ended(admin: Client): Promise<void> {
  for (;;) {
    const { items } = await admin.listSparkJobRuns({ params: { domain, name }, query: { limit: 1 } });
    const [run] = items;
    if (run?.state === 'succeeded') return;
    if (run?.state !== 'queued' && run?.state !== 'running')
      throw new Error(`The run ${run?.state ?? 'is not there'}: ${run?.failure?.code ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
