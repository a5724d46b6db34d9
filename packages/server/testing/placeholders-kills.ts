import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import type { TestServer } from './app.ts';
import { testChild } from './programs.ts';

/** What is asked, and where the server that is asked has to kill itself. */
export interface PlaceholderKill {
  /** One after the other. */
  readonly verbs: readonly ('migrate' | 'undo')[];
  readonly configurations: readonly object[];
  readonly token: string;
  /** Of the store, by its name. */
  readonly command: string;
  /** The first, the second… */
  readonly count: number;
  readonly when: 'sent' | 'answered';
}

/** Runs `placeholders-kill-child.ts` over the data of a server that is stopped; it has to kill itself and to say nothing. */
export async function runKilledPlaceholders(test: TestServer, kill: PlaceholderKill): Promise<void> {
  const { verbs, configurations, token, command, count, when } = kill;
  const env = {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
    STRONGROOM_DATA_DIR: test.dataDir,
    STRONGROOM_LISTEN: '127.0.0.1:0',
    TMPDIR: test.temporaryDirectory,
    KILL_TOKEN: token,
    KILL_CONFIGURATIONS: JSON.stringify(configurations),
  };
  const args = [testChild('placeholders-kill-child'), verbs.join(), command, `${count}`, when];
  const child = spawn(process.execPath, args, { cwd: dirname(test.dataDir), env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  const signal = await new Promise((resolve) => child.on('close', (_code, name) => resolve(name)));
  expect({ signal, errors }).toEqual({ signal: 'SIGKILL', errors: '' });
}

interface StoredDocument {
  readonly name: string;
  readonly document: string;
  /** Fields that the record says were replaced. */
  readonly changes: number;
}

/** Configurations whose names begin so, as they are stored; also of a server that is stopped. */
export function storedDocuments(test: TestServer, prefix: string): readonly StoredDocument[] {
  const database = new DatabaseSync(join(test.dataDir, 'strongroom.db'), { readOnly: true });
  try {
    return database
      .prepare(
        `select name, document, (select count(*) from placeholder_changes where configuration_id = id) as changes
         from configurations where substr(name, 1, length(?)) = ? order by name`,
      )
      .all(prefix, prefix) as unknown as StoredDocument[];
  } finally {
    database.close();
  }
}
