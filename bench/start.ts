// Start to first answer, and what an idle server takes.
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentBundle } from '../packages/cli/bin/bundle.mjs';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';
import { createServerProcess } from './server-process.ts';

const starts = 5;

export async function run(): Promise<BenchRow[]> {
  const server = await createServerProcess();
  try {
    const first = await server.start();
    await server.end('SIGTERM');
    const times: number[] = [];
    let resident = 0;
    for (let n = 0; n < starts; n += 1) {
      times.push(await server.start());
      if (n === starts - 1) {
        await sleep(20_000);
        resident = server.residentMegabytes();
      }
      await server.end('SIGTERM');
    }
    const time = median(times);
    const of = currentBundle() === undefined ? ', of the sources as they are' : '';
    return [
      { name: `start to first answer${of}`, value: time, unit: 'ms', goal: '≤ 1,000', met: time <= 1000 },
      { name: 'the very first start (keys, schema)', value: first, unit: 'ms', goal: '', met: true },
      { name: `idle memory${of}`, value: resident, unit: 'MB RSS', goal: '≤ 150', met: resident <= 150 },
    ];
  } finally {
    rmSync(server.directory, { recursive: true, force: true });
  }
}
