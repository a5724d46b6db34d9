import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Manifest {
  environment: { name: string; value?: string; secret?: string }[];
}

/**
 * A copy of `examples/nightly-report` with the driver it imports, in a folder that the job's user can read: a checkout below
 * a private home can't be. The manifest gets the address of the test's database and a folder for the report.
 */
export function copyNightlyReport(database: { readonly port: number; readonly name: string }): {
  readonly directory: string;
  readonly manifest: string;
  readonly report: string;
} {
  const directory = mkdtempSync(join(tmpdir(), 'nightly-report-'));
  chmodSync(directory, 0o755);
  cpSync(join(root, 'examples', 'nightly-report'), directory, { recursive: true });
  const modules = join(root, 'node_modules');
  for (const name of readdirSync(modules).filter((module) => /^(?:pg|postgres-|xtend$|split2$)/.test(module))) {
    cpSync(join(modules, name), join(directory, 'node_modules', name), { recursive: true });
  }
  const out = join(directory, 'out');
  mkdirSync(out);
  chmodSync(out, 0o777);
  const manifest = join(directory, 'job.yaml');
  const job = parse(readFileSync(manifest, 'utf8')) as Manifest;
  const given: Readonly<Record<string, string>> = { PGPORT: String(database.port), PGDATABASE: database.name };
  for (const variable of job.environment)
    if (given[variable.name] !== undefined) variable.value = given[variable.name] ?? '';
  job.environment.push({ name: 'REPORT_DIR', value: out });
  writeFileSync(manifest, stringify(job));
  if (!existsSync(join(directory, 'node_modules', 'pg'))) throw new Error('The driver of PostgreSQL is not installed');
  return { directory, manifest, report: join(out, 'report.csv') };
}
