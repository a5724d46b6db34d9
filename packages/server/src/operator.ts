import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { SigningKey } from '@strongroom/crypto';
import { type ArchivedSegment, archiveLease, archiveRecords } from './audit/archive.ts';
import type { LoadedConfiguration } from './config/load.ts';
import { createOperatorLink, signInLinkText } from './identities/index.ts';
import { operatorActor } from './identities/actor.ts';
import { lazyEgress } from './integrations/lazy-egress.ts';
import { kekSourceOf } from './keys/kek-source.ts';
import { type Keyring, openKeyring } from './keys/keyring.ts';
import type { Keys } from './keys/keys.ts';
import { proveRecoveryKit, restoreKek, writeRecoveryKit } from './keys/recovery.ts';
import { openRestoredKeys } from './keys/restored-keys.ts';
import { followedTable } from './managed-stores/legacy-table/open-table.ts';
import { createOpenManagedStore } from './managed-stores/open-managed-store.ts';
import { runDoctor } from './operation/doctor.ts';
import type { DoctorReport } from './operation/finding.ts';
import { backupSqlite } from './store/backup.ts';
import type { BackupManifest } from './store/backup-manifest.ts';
import { DataDirectoryInUse, dataFiles } from './store/data-directory.ts';
import { openPostgresStore } from './store/postgres.ts';
import { withLease } from './store/leases.ts';
import { type RestoreResult, restoreSqlite, startEpoch } from './store/restore.ts';
import { openSqliteStore } from './store/sqlite.ts';
import type { OpenStore } from './store/store.ts';

/**
 * What somebody with a shell on the server's machine does, without the server or beside it. What writes opens the store, which
 * one process at a time can do with the embedded one: a server that runs is a `state_conflict`.
 */

/** Backs up the embedded store, also while its server runs. @throws StrongroomError `not_supported` on PostgreSQL */
export async function backup({ settings }: LoadedConfiguration, target: string): Promise<BackupManifest> {
  if (settings.database.kind === 'postgres') {
    throw new StrongroomError('not_supported', {
      detail: 'The records are in PostgreSQL, which has its own backups.',
      hint: 'Use pg_dump or base backups, and keep the anchor file and audit.pub with them.',
    });
  }
  return backupSqlite(settings.dataDir, target);
}

export interface OperatorRestore {
  /** Directory of the backup; absent on PostgreSQL, whose own tools have restored the database. */
  readonly backup?: string;
  readonly force?: boolean;
  readonly keepsCredentials?: boolean;
}

/**
 * Restores a backup and starts a new epoch. On PostgreSQL only the epoch: the database was restored by its own tools.
 * @throws StrongroomError as `restoreSqlite`; `validation_failed` when the backup is missing, or not wanted
 */
export async function restore(
  configuration: LoadedConfiguration,
  options: OperatorRestore,
): Promise<Omit<RestoreResult, 'installationId'>> {
  const { settings, secrets } = configuration;
  const { backup: from, force = false, keepsCredentials = false } = options;
  const isPostgres = secrets.databaseUrl !== undefined;
  if (isPostgres === (from !== undefined)) {
    throw new StrongroomError('validation_failed', {
      detail: isPostgres
        ? 'PostgreSQL is restored by its own tools; then run this without a directory.'
        : 'The directory of the backup is missing.',
    });
  }
  const kek = await kekSourceOf(configuration).read();
  if (from !== undefined) {
    return restoreSqlite({
      backup: from,
      directory: settings.dataDir,
      force,
      keepsCredentials,
      openAuditKeys: (store) => openRestoredKeys(store, kek),
    });
  }
  const store = await openPostgresStore({ url: secrets.databaseUrl ?? '' });
  try {
    const keys = await openRestoredKeys(store, kek);
    const anchorPath =
      settings.auditAnchor.kind === 'file' ? settings.auditAnchor.path : dataFiles(settings.dataDir).anchor;
    mkdirSync(dirname(anchorPath), { recursive: true, mode: 0o700 });
    return await startEpoch(store, keys, { backup: null, previousEpoch: 0, anchorPath, keepsCredentials });
  } finally {
    await store.close();
  }
}

/**
 * Moves audit records that are older to segments in a directory, and removes them.
 * @param options.before milliseconds since 1970
 * @throws StrongroomError as `archiveRecords`; `state_conflict` while a server runs over the embedded store, or somebody else
 * archives
 */
export async function archiveAudit(
  configuration: LoadedConfiguration,
  options: { readonly directory: string; readonly before: number },
): Promise<readonly ArchivedSegment[]> {
  const instead =
    'Stop it; or let it do the work itself, with STRONGROOM_AUDIT_RETENTION_DAYS and STRONGROOM_AUDIT_ARCHIVE_DIR.';
  return withInstallation(configuration, instead, async (store, keyring) => {
    const { signingSeed, macKey } = await keyring.auditKeys();
    const signing = new SigningKey(signingSeed);
    try {
      const parts = { store, signing, installationId: keyring.installationId };
      const outcome = await withLease(store, archiveLease, `operator ${process.pid}`, 30_000, (lease) =>
        archiveRecords(parts, { ...options, lease, principalName: operatorActor.principalName }),
      );
      if (outcome.held) return outcome.result;
      throw new StrongroomError('state_conflict', {
        detail: 'Another run archives audit records, or one was killed less than a minute ago.',
        hint: 'Repeat it in a minute.',
      });
    } finally {
      signing.destroy();
      signingSeed.fill(0);
      macKey.fill(0);
    }
  });
}

/** Writes a recovery kit of the key file to a new file. @returns the recovery key, to be kept apart from it */
export async function makeRecoveryKit(
  configuration: LoadedConfiguration,
  path: string,
): Promise<{ readonly recoveryKey: string; readonly kekId: string }> {
  const kek = await kekSourceOf(configuration).read();
  try {
    return { ...(await writeRecoveryKit(kek, path)), kekId: kek.id };
  } finally {
    kek.destroy();
  }
}

/**
 * Whether kit and recovery key give back the key file's key.
 * @returns the key's public id
 * @throws StrongroomError `credentials_invalid`
 */
export async function checkRecoveryKit(
  configuration: LoadedConfiguration,
  kit: string,
  recoveryKey: string,
): Promise<{ readonly kekId: string }> {
  const kek = await kekSourceOf(configuration).read();
  try {
    proveRecoveryKit(kit, recoveryKey, kek.id);
    return { kekId: kek.id };
  } finally {
    kek.destroy();
  }
}

/** Records that a kit was made and tried. */
export async function confirmRecovery(configuration: LoadedConfiguration): Promise<void> {
  const instead = 'Sign in with strongroom login, so that the running server can be asked, or stop it first.';
  await withInstallation(configuration, instead, async (store, keyring) => {
    const kekId = keyring.kek.id;
    await store.execute(
      'keys.confirmRecovery',
      { kekId },
      { audit: [{ ...operatorActor, action: 'recovery.confirm', outcome: 'allowed', detail: { kekId } }] },
    );
  });
}

/** Puts the key file back from a kit; one that is there stays. */
export async function recoverKekFile(
  configuration: LoadedConfiguration,
  kit: string,
  recoveryKey: string,
): Promise<{ readonly kekId: string; readonly path: string }> {
  mkdirSync(dirname(configuration.settings.kek.file), { recursive: true, mode: 0o700 });
  return restoreKek(kit, recoveryKey, kekSourceOf(configuration));
}

/**
 * A one-time sign-in link for a user: the way back in when nobody can sign in.
 * @throws StrongroomError `not_found`; `state_conflict` for a disabled user, or while a server runs over the embedded store
 */
export async function makeSignInLink(
  configuration: LoadedConfiguration,
  userName: string,
): Promise<{ readonly url: string; readonly expiresAt: Date }> {
  const { listen, publicUrl, tls } = configuration.settings;
  const isAnyAddress = listen.host === '0.0.0.0' || listen.host === '::';
  const host = isAnyAddress ? '127.0.0.1' : listen.host;
  const local = `http${tls === undefined ? '' : 's'}://${host.includes(':') ? `[${host}]` : host}:${listen.port}`;
  const instead = `Ask an administrator for strongroom user link ${userName}; or stop the server, repeat this, and start it again.`;
  return withInstallation(configuration, instead, async (store, keyring) => {
    const link = await createOperatorLink(store, keyring, userName);
    return { url: signInLinkText(publicUrl ?? local, link), expiresAt: new Date(link.expiresAt) };
  });
}

/** For trying a store, which makes and compares no fingerprint. */
const noKeys: Pick<Keys, 'fingerprint'> = {
  fingerprint: () => Promise.reject(new StrongroomError('key_unavailable')),
};

/** Looks at an installation whose server doesn't run, or doesn't start. */
export async function examine(configuration: LoadedConfiguration): Promise<DoctorReport> {
  const { settings, secrets, ambient } = configuration;
  let store: OpenStore | null = null;
  let storeProblem: string | undefined;
  try {
    if (secrets.databaseUrl === undefined && !existsSync(dataFiles(settings.dataDir).database)) {
      storeProblem = `There is no store in ${settings.dataDir}.`;
    } else store = await openStore(settings.dataDir, secrets.databaseUrl);
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    storeProblem = error.detail ?? error.message;
  }
  const egress = lazyEgress(configuration);
  try {
    return await runDoctor({
      settings,
      ambient,
      store,
      ...(storeProblem === undefined ? {} : { storeProblem }),
      kek: kekSourceOf(configuration),
      openManagedStore: createOpenManagedStore({
        settings: settings.managed,
        keys: noKeys,
        egress: egress.open,
        legacyVaultToken: secrets.legacyVaultToken,
      }),
      openLegacyTable: followedTable(configuration)?.open ?? null,
    });
  } finally {
    await egress.close();
    await store?.close();
  }
}

function openStore(dataDir: string, databaseUrl: string | undefined): Promise<OpenStore> {
  return databaseUrl === undefined ? openSqliteStore({ directory: dataDir }) : openPostgresStore({ url: databaseUrl });
}

/**
 * Opens store, keys and an audit chain of its own for one piece of work.
 * @param instead what to do while a server has the embedded store open
 */
export async function withInstallation<Result>(
  configuration: LoadedConfiguration,
  instead: string,
  work: (store: OpenStore, keyring: Keyring) => Promise<Result>,
): Promise<Result> {
  const { settings, secrets } = configuration;
  if (secrets.databaseUrl === undefined && !existsSync(dataFiles(settings.dataDir).database)) {
    throw new StrongroomError('state_conflict', {
      detail: `There is no store in ${settings.dataDir}.`,
      hint: 'Set STRONGROOM_DATA_DIR, or run it where the server was started.',
    });
  }
  const store = await openStore(settings.dataDir, secrets.databaseUrl).catch((cause: unknown) => {
    if (!(cause instanceof DataDirectoryInUse)) throw cause;
    throw new StrongroomError('state_conflict', {
      detail: `A server runs over ${settings.dataDir}, and it alone can write there.`,
      hint: instead,
      cause,
    });
  });
  try {
    const { kek, installationId } = await kekSourceOf(configuration).open(store);
    const keyring = await openKeyring(store, kek, installationId);
    try {
      const { epoch } = await store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
      const { auditAnchor } = settings;
      const path = auditAnchor.kind === 'file' ? auditAnchor.path : null;
      if (path !== null) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const keys = await keyring.auditKeys();
      await store.startAudit({ keys, epoch, anchor: { path, isOnStdout: path === null } });
      return await work(store, keyring);
    } finally {
      keyring.close();
    }
  } finally {
    await store.close();
  }
}
