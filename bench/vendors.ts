// What a server that uses no vendor's backend is spared: memory of the modules that one of them loads when it is first used. That
// such a server has loaded none of them is `packages/server/src/loaded-packages.test.ts`.
import { execFileSync } from 'node:child_process';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const processes = 3;
/** Folders of backends: one is loaded as the server loads it, by a module of ours and whatever that imports. */
const vendors = { AWS: 'aws', 'Google Cloud': 'google', Azure: 'azure' } as const;

export async function run(): Promise<BenchRow[]> {
  return Object.entries(vendors).map(([name, folder]) => {
    const value = median(Array.from({ length: processes }, () => megabytesOf(folder)));
    return { name: `memory of what ${name} loads`, value, unit: 'MB RSS', goal: '', met: true };
  });
}

const moduleOf = (folder: string): string =>
  new URL(`../packages/backends/src/${folder}/open.ts`, import.meta.url).href;

/** How much a process grows that has loaded a backend without a vendor's library before; garbage is not counted. */
function megabytesOf(folder: string): number {
  const program = `
    const resident = () => { gc(); gc(); return process.memoryUsage().rss / 1024 ** 2; };
    await import(${JSON.stringify(moduleOf('vault'))});
    const before = resident();
    await import(${JSON.stringify(moduleOf(folder))});
    console.log(resident() - before);`;
  const options = ['--expose-gc', '--input-type=module', '--eval', program];
  return Number(execFileSync(process.execPath, options, { encoding: 'utf8' }));
}
