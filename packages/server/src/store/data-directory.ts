import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StrongroomError } from '@strongroom/contract/core';

/** Names inside the data directory of the embedded store. */
export interface DataFiles {
  readonly directory: string;
  readonly database: string;
  /** The audit anchor; files set aside when full have this name and a time. */
  readonly anchor: string;
  readonly lock: string;
  /** A restore that is prepared and waits for its last moves. */
  readonly restored: string;
}

export function dataFiles(directory: string): DataFiles {
  return {
    directory,
    database: join(directory, 'strongroom.db'),
    anchor: join(directory, 'audit.anchor'),
    lock: join(directory, 'strongroom.lock'),
    restored: join(directory, 'restored'),
  };
}

/** Makes the directory (mode 0700) and an empty database file (mode 0600), which its side files take their mode from. */
export function prepareDataDirectory(files: DataFiles): void {
  mkdirSync(files.directory, { recursive: true, mode: 0o700 });
  closeSync(openSync(files.database, 'a', 0o600));
  syncDirectory(files.directory);
}

/** Makes names created or renamed in a directory durable. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Held while a process uses the data directory; the operating system lets go of it when the process dies. */
export interface DirectoryLock {
  release(): void;
}

/** Another process, most likely the server, has the data directory open. */
export class DataDirectoryInUse extends StrongroomError {
  constructor(cause: unknown) {
    super('state_conflict', {
      detail: 'Another process uses this data directory.',
      hint: 'Stop the other server, or use another data directory.',
      cause,
    });
  }
}

/** @throws DataDirectoryInUse (`state_conflict`) when another process, or this one, has the directory open */
export function lockDataDirectory(files: DataFiles): DirectoryLock {
  mkdirSync(files.directory, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(files.lock, { timeout: 0 });
  try {
    database.exec('begin exclusive');
  } catch (cause) {
    database.close();
    throw new DataDirectoryInUse(cause);
  }
  return { release: () => database.close() };
}
