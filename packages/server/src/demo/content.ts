/** What the demo domain holds. Its values are made anew for each installation. */

export const demoDomain = {
  name: 'demo',
  displayName: 'Demo',
  description: 'Made by strongroom serve --demo, to look at and to delete',
} as const;

/** Who puts the demo's references in place: a service account of the domain, without a token. */
export const demoAccount = { name: 'demo', displayName: 'Demo' } as const;

/** Each value is `bytes` random bytes, as text; with `fields`, one for each. */
export const demoSecrets = [
  {
    key: 'warehouse-password',
    description: 'What the demo job connects with',
    folder: 'databases',
    tags: ['demo'],
    rotateEveryDays: 90,
    bytes: 24,
  },
  {
    key: 'report-api',
    description: 'Two fields, each with a reference of its own',
    folder: 'services',
    tags: ['demo'],
    bytes: 16,
    fields: ['client-id', 'client-secret'],
  },
  { key: 'old-smtp-password', description: 'Nothing uses it; see the inventory', folder: 'services', bytes: 18 },
] as const;

const report = `// Prints its credentials, as no job should: the log shows them masked. Then it writes a report.
import { readFileSync, writeFileSync } from 'node:fs';

const { WAREHOUSE_PASSWORD, REPORT_API_SECRET } = process.env;
console.log('connecting to the warehouse with', WAREHOUSE_PASSWORD);
console.log('sending the report with', REPORT_API_SECRET);

const sales = [['north', 1240], ['south', 980], ['west', 1105]];
const total = sales.reduce((sum, [, amount]) => sum + amount, 0);
const lines = sales.map(([region, amount]) => region.padEnd(8) + String(amount).padStart(8));
writeFileSync('report.txt', ['region     sales', ...lines, 'total'.padEnd(8) + String(total).padStart(8), ''].join('\\n'));
console.log(readFileSync('report.txt', 'utf8'));
`;

export const demoJob = {
  name: 'demo-report',
  description: 'Prints a masked line and writes a report',
  command: ['node', 'report.mjs'],
  environment: [
    { name: 'WAREHOUSE_PASSWORD', secret: 'secret://domain/managed/warehouse-password' },
    { name: 'REPORT_API_SECRET', secret: 'secret://domain/managed/report-api#client-secret' },
    { name: 'REPORT_LANGUAGE', value: 'en' },
  ],
  files: [{ name: 'report.mjs', content: report }],
  timeoutSeconds: 60,
};
