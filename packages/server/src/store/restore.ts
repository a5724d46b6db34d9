import { existsSync, rmSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { anchorFiles, readAnchorTail } from '../audit/anchor.ts';
import { publicKeyFile } from '../audit/public-key-file.ts';
import type { AuditKeyMaterial } from '../keys/keyring.ts';
import { fileFailure, flush } from './backup.ts';
import { type BackupManifest, digestFile, manifestName, readManifest, verifyFiles } from './backup-manifest.ts';
import { type DataFiles, dataFiles, lockDataDirectory, syncDirectory } from './data-directory.ts';
import { finishRestore, preparing, publishRestore, storeFilesIn } from './restore-moves.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { openSqliteStore } from './sqlite.ts';
import type { OpenStore } from './store.ts';

export interface RestoreOptions {
  /** Directory of the backup. */
  readonly backup: string;
  /** The data directory; its server is stopped. */
  readonly directory: string;
  /** `openRestoredKeys` with the key-encryption key; with the wrong one it throws, and nothing was changed. */
  readonly openAuditKeys: (store: OpenStore) => Promise<AuditKeyMaterial>;
  /** Replace a store that is there; its files are kept in `replaced-<time>`. */
  readonly force?: boolean;
  /** Leave sessions and tokens valid. */
  readonly keepsCredentials?: boolean;
}

export interface RestoreResult {
  readonly installationId: string;
  readonly epoch: number;
  readonly endedSessions: number;
  readonly endedTokens: number;
  /** What the anchor knows and the backup did not have is lost to this restore; the verifier lists it. */
  readonly anchored: { readonly chain: string; readonly sequence: number } | null;
}

/**
 * Restores a backup of the embedded store: verifies every file, opens it with the key-encryption key, starts a new epoch,
 * ends sessions and tokens, and records the restore in the audit, linked to the newest anchored head that is known. All of
 * that happens in a directory of its own; one rename then makes it the store, so that an interruption leaves either the old
 * or the new one.
 *
 * Over a store of the same installation its anchor is kept and continued: it knows what the backup does not.
 *
 * @throws StrongroomError `state_conflict`: no whole backup, a newer schema, a store that is there or in use;
 * `key_unavailable` from `openAuditKeys`; `storage_full`, `storage_unavailable`. Nothing was changed.
 */
export async function restoreSqlite(options: RestoreOptions): Promise<RestoreResult> {
  const manifest = await readManifest(options.backup);
  await verifyFiles(options.backup, manifest);
  const files = dataFiles(options.directory);
  const lock = lockDataDirectory(files);
  try {
    finishRestore(files);
    if (options.force !== true && storeFilesIn(files).length > 0) {
      throw new StrongroomError('state_conflict', {
        detail: 'There is a store in this data directory.',
        hint: 'Use an empty data directory, or --force: the store that is there is then kept beside the restored one.',
      });
    }
    const result = await prepare(files, manifest, options);
    publishRestore(files);
    finishRestore(files);
    return result;
  } catch (error) {
    rmSync(join(files.directory, preparing), { recursive: true, force: true });
    throw fileFailure(error);
  } finally {
    lock.release();
  }
}

async function prepare(files: DataFiles, manifest: BackupManifest, options: RestoreOptions): Promise<RestoreResult> {
  const stage = dataFiles(join(files.directory, preparing));
  await mkdir(stage.directory, { mode: 0o700 });
  for (const { name } of manifest.files) await copyFile(join(options.backup, name), join(stage.directory, name));
  const old = await readOldInstallation(files);
  const isSame = old?.id === manifest.installationId;
  if (isSame) await keepOldAnchor(files, stage);

  const store = await openSqliteStore({ directory: stage.directory });
  try {
    const keys = await options.openAuditKeys(store);
    const result = await startEpoch(store, keys, {
      backup: {
        createdAt: manifest.createdAt,
        manifestSha256: (await digestFile(join(options.backup, manifestName))).sha256,
      },
      previousEpoch: isSame ? (old?.epoch ?? 0) : 0,
      anchorPath: stage.anchor,
      keepsCredentials: options.keepsCredentials === true,
    });
    return { ...result, installationId: manifest.installationId };
  } finally {
    await store.close();
    rmSync(stage.lock, { force: true });
    for (const name of storeFilesIn(stage)) await flush(join(stage.directory, name));
    syncDirectory(stage.directory);
  }
}

/** What a new epoch is started from. */
export interface EpochStart {
  /** Of the backup; null for a database that was restored by its own tools. */
  readonly backup: { readonly createdAt: string; readonly manifestSha256: string } | null;
  /** An epoch that is known to have been used. */
  readonly previousEpoch: number;
  readonly anchorPath: string;
  readonly keepsCredentials: boolean;
}

/**
 * Starts the epoch after a restore and the audit chain that records it. Also for PostgreSQL, whose database is restored by its
 * own tools: run it once, before any server is started.
 */
export async function startEpoch(
  store: OpenStore,
  keys: AuditKeyMaterial,
  start: EpochStart,
): Promise<Omit<RestoreResult, 'installationId'>> {
  const anchored = readAnchorTail(start.anchorPath);
  const begun = await store.execute('store.beginEpoch', {
    above: Math.max(start.previousEpoch, anchored?.epoch ?? 0),
    endsCredentials: !start.keepsCredentials,
  });
  await store.startAudit({ keys, epoch: begun.epoch, anchor: { path: start.anchorPath, isOnStdout: false } });
  const { installationId } = keys;
  await store.execute('store.record', undefined, {
    audit: [
      {
        principal: 'system',
        principalName: 'system',
        action: 'restore',
        outcome: 'allowed',
        object: { type: 'installation', id: installationId, name: installationId },
        detail: {
          backupCreatedAt: start.backup?.createdAt ?? null,
          backupManifestSha256: start.backup?.manifestSha256 ?? null,
          epoch: begun.epoch,
          anchoredChain: anchored?.chain ?? null,
          anchoredSequence: anchored?.sequence ?? null,
          anchoredHash: anchored?.hash ?? null,
          endedSessions: begun.endedSessions,
          endedTokens: begun.endedTokens,
        },
      },
    ],
  });
  return { ...begun, anchored: anchored && { chain: anchored.chain, sequence: anchored.sequence } };
}

/** The installation that is being replaced; null when there is none, or its database is beyond reading. */
async function readOldInstallation(files: DataFiles): Promise<{ readonly id: string; readonly epoch: number } | null> {
  if (!existsSync(files.database)) return null;
  let connection: SqliteConnection | undefined;
  try {
    connection = new SqliteConnection(files.database, 'read');
    const row = await connection.db.selectFrom('installation').select(['id', 'epoch']).executeTakeFirst();
    return row ?? null;
  } catch (error) {
    // A damaged database is a reason to restore, not an obstacle; its anchor then isn't known to be of this installation.
    if (error instanceof StrongroomError || isMissingTable(error)) return null;
    throw error;
  } finally {
    connection?.close();
  }
}

/** SQLITE_ERROR: the file was never a store of ours. */
function isMissingTable(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 1;
}

async function keepOldAnchor(files: DataFiles, stage: DataFiles): Promise<void> {
  const kept = anchorFiles(files.anchor);
  if (kept.length === 0) return;
  for (const path of anchorFiles(stage.anchor)) rmSync(path);
  const publicKeys = publicKeyFile(files.anchor);
  const all = existsSync(publicKeys) ? [...kept, publicKeys] : kept;
  for (const path of all) await copyFile(path, join(stage.directory, basename(path)));
}
