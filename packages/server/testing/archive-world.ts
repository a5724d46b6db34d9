import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SigningKey, encodePublicKeyText } from '@strongroom/crypto';
import { afterAll, beforeEach } from 'vitest';
import { archiveLease, type ArchivedSegment, type ArchiveParts, archiveRecords } from '../src/audit/archive.ts';
import { Checkpointer } from '../src/audit/checkpoint.ts';
import { publicKeyFile, publishPublicKey } from '../src/audit/public-key-file.ts';
import { verifyDataDirectory, type VerifyFilesOptions } from '../src/audit/verify-files.ts';
import { dataFiles } from '../src/store/data-directory.ts';
import { withLease } from '../src/store/leases.ts';
import type { TestStore } from './stores.ts';

/** Gives each test of a file a directory of its own for an archive, until all are done. */
export function eachTestHasArchive(use: (directory: string) => void): void {
  const directories: string[] = [];
  beforeEach(() => {
    const directory = mkdtempSync(join(tmpdir(), 'strongroom-archive-'));
    directories.push(directory);
    use(directory);
  });
  afterAll(() => {
    for (const directory of directories) rmSync(directory, { recursive: true });
  });
}

/** A log that is written and archived, and somebody who changes it. */
export class ArchiveWorld {
  readonly test: TestStore;
  /** Where the archive is; a directory of its own. */
  directory: string;
  readonly publicKeyText: string;
  readonly #signing: SigningKey;
  readonly #checkpointer: () => Checkpointer;

  private constructor(test: TestStore, directory: string, signing: SigningKey) {
    this.test = test;
    this.directory = directory;
    this.#signing = signing;
    this.publicKeyText = encodePublicKeyText(signing.publicKey);
    this.#checkpointer = () =>
      new Checkpointer({
        store: test.store,
        signing,
        installationId: test.keys.installationId,
        epoch: 1,
        anchorPath: dataFiles(test.directory).anchor,
      });
  }

  /** @param directory removed by whoever made it */
  static async open(test: TestStore, directory: string): Promise<ArchiveWorld> {
    const { publicKey, signingSeed } = await test.keys.auditKeys();
    publishPublicKey(publicKeyFile(dataFiles(test.directory).anchor), publicKey);
    return new ArchiveWorld(test, directory, new SigningKey(signingSeed));
  }

  /** Some records and a checkpoint over them; the newest checkpoint always stays. */
  async write(count: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        this.test.store.execute('access.record', undefined, {
          audit: [
            {
              principal: 'usr_ann',
              principalName: 'user:ann',
              action: 'secret.list',
              outcome: 'allowed',
              scope: { id: 'dom_finance', name: 'finance' },
              requestId: `req-${index}`,
            },
          ],
        }),
      ),
    );
    await this.#checkpointer().make();
  }

  async archive(
    options: {
      readonly before?: number;
      readonly store?: ArchiveParts['store'];
      readonly recordsPerSegment?: number;
    } = {},
  ): Promise<readonly ArchivedSegment[]> {
    const { store = this.test.store, before = Date.now() + 60_000, ...rest } = options;
    const outcome = await withLease(this.test.store, archiveLease, 'test', 60_000, (lease) =>
      archiveRecords(
        { store, signing: this.#signing, installationId: this.test.keys.installationId },
        { directory: this.directory, before, lease, principalName: 'system', ...rest },
      ),
    );
    if (!outcome.held) throw new Error('the lease is held by somebody');
    return outcome.result;
  }

  /** A run that ends, as if it were killed, when it would remove the rows. */
  archiveUntilCommit(): Promise<unknown> {
    const { store } = this.test;
    const killed: ArchiveParts['store'] = {
      db: store.db,
      query: (...call) => store.query(...call),
      execute: () => {
        throw new Error('killed');
      },
    };
    return this.archive({ store: killed });
  }

  async verify(options: VerifyFilesOptions = {}) {
    const { macTermId, macKey } = await this.test.keys.auditKeys();
    return verifyDataDirectory(this.test.directory, {
      ...(this.test.url !== undefined && { databaseUrl: this.test.url }),
      macKeys: new Map([[macTermId, macKey]]),
      ...options,
    });
  }

  async count(): Promise<number> {
    const row = await this.test.store.db
      .selectFrom('audit_records')
      .select((column) => column.fn.countAll().as('count'))
      .executeTakeFirstOrThrow();
    return Number(row.count);
  }

  /** Somebody who can write the database. */
  async tamper(statement: string): Promise<void> {
    const { url, directory } = this.test;
    if (url === undefined) {
      const { DatabaseSync } = await import('node:sqlite');
      const database = new DatabaseSync(dataFiles(directory).database, { timeout: 60_000 });
      database.exec(statement);
      database.close();
    } else {
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(statement);
      await client.end();
    }
  }
}
