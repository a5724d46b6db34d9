// Prints ratios as a table and, with --json, as JSON. `node bench/main.ts lists` runs one part.
import type { Bench } from './report.ts';
import { type BenchRow, printRows } from './row.ts';

const parts: Readonly<Record<string, () => Promise<{ readonly run: Bench }>>> = {
  http: () => import('./http.ts'),
  launch: () => import('./launch.ts'),
  vault: () => import('./vault.ts'),
  lists: () => import('./lists.ts'),
  start: () => import('./start.ts'),
  vendors: () => import('./vendors.ts'),
  runs: () => import('./runs.ts'),
  uses: () => import('./uses.ts'),
  decide: () => import('./decide.ts'),
  redactor: () => import('./redactor.ts'),
  audit: () => import('./audit.ts'),
  archive: () => import('./archive.ts'),
};

const args = process.argv.slice(2);
const isJson = args.includes('--json');
const asked = args.filter((arg) => !arg.startsWith('--'));
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`No such part: ${unknown.join(', ')}. There are: ${Object.keys(parts).join(', ')}.`);
  process.exit(2);
}

const rows: BenchRow[] = [];
for (const [name, load] of Object.entries(parts)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  if (!isJson) console.error(`${name} …`);
  const { run } = await load();
  rows.push(...(await run()));
}
if (isJson) console.log(JSON.stringify(rows, null, 2));
else printRows(rows);
