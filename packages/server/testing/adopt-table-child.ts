import process from 'node:process';
import { loadConfiguration } from '../src/config/load.ts';
import { adoptLegacyTable } from '../src/managed-stores/legacy-table/index.ts';

/**
 * Adopts a plaintext table and kills itself at the second row: `node adopt-table-child.ts DIRECTORY FILE STEP`. The steps are
 * those of `adoptRows`.
 */
const [directory = '', file = '', failpoint = ''] = process.argv.slice(2);

const configuration = loadConfiguration({ variables: { STRONGROOM_DATA_DIR: directory }, workingDirectory: directory });
const database = { kind: 'sqlite', file } as const;
let times = 0;
await adoptLegacyTable(
  configuration,
  { database, table: 'secret_store', keyColumn: 'key', valueColumn: 'value' },
  {
    isTrial: false,
    reached: (step) => {
      if (step === failpoint) times += 1;
      if (times === 2) process.kill(process.pid, 'SIGKILL');
    },
  },
);
// Not reached: the parent wants to see a signal.
process.exit(1);
