// Signs in to PostgreSQL with what its environment says (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD), adds up the day's
// payments per account and writes report.csv into REPORT_DIR (default: the temporary folder of the run).
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

const client = new pg.Client({ connectionTimeoutMillis: 10_000, statement_timeout: 60_000 });

try {
  await client.connect();
  const { rows } = await client.query(`
    select account, count(*)::int as payments, sum(amount)::numeric(14, 2)::text as total
    from payments
    group by account
    order by account`);
  const csv = ['account,payments,total', ...rows.map((row) => `${row.account},${row.payments},${row.total}`)].join(
    '\n',
  );
  const path = join(process.env.REPORT_DIR ?? tmpdir(), 'report.csv');
  await writeFile(path, `${csv}\n`);
  console.log(`${rows.length} accounts, ${rows.reduce((sum, row) => sum + row.payments, 0)} payments`);
  console.log(`report written to ${path}`);
} catch (error) {
  // The driver's message names the user and the host, never the password.
  console.error(`report failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await client.end();
}
