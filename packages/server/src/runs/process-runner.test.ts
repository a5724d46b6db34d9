import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { runnerContract, type RunnerUnderTest } from '../../testing/runner-contract.ts';
import { processesOf } from './process-identity.ts';
import { listRunFolders } from './run-folder.ts';

describe('the process runner', () => {
  const canaries = new Canaries();
  const value = canaries.plain('password');
  let test: TestServer;
  let runner: RunnerUnderTest;

  beforeAll(async () => {
    test = await startTestServer({}, { canaries });
    await test.createDomain('finance');
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'db-password', value } });
    const ends = join(test.temporaryDirectory, 'ends');
    mkdirSync(ends);
    // Jobs have users of their own where the tests are root.
    chmodSync(ends, 0o755);
    const wait = 'until [ -e "$0/$STRONGROOM_RUN_ID" ]; do sleep 0.05; done';
    const script = `${wait}; echo "it is $PGPASSWORD"; exit "$(cat "$0/$STRONGROOM_RUN_ID")"`;
    runner = {
      test,
      value,
      job: { runner: 'process', command: ['sh', '-c', script, ends] },
      async end(id, exitCode) {
        writeFileSync(join(ends, `${id}.new`), String(exitCode));
        // Whatever umask a server has set in this process.
        chmodSync(join(ends, `${id}.new`), 0o644);
        renameSync(join(ends, `${id}.new`), join(ends, id));
      },
      async assertGone(id) {
        const { installationId } = test.server.keyring;
        const folders = { temporaryDirectory: test.temporaryDirectory, memoryDirectory: '/dev/shm', installationId };
        const hasProcess = (await processesOf(new Set([id]))).size > 0;
        const hasFolder = (await listRunFolders(folders)).includes(id);
        if (hasProcess || hasFolder)
          throw new Error(`Of run ${id} is left: process ${hasProcess}, folder ${hasFolder}`);
      },
    };
  });
  afterAll(() => test.close());

  runnerContract('process', () => runner);
});
