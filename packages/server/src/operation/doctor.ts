import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { isPrivateFile } from '@strongroom/crypto';
import { sql } from 'kysely';
import type { Ambient } from '../config/environment.ts';
import type { Settings } from '../config/settings.ts';
import { firstKitName, kekIdOfKit } from '../keys/recovery.ts';
import { readSchemaVersion, schemaVersion } from '../store/migrate.ts';
import type { Store } from '../store/store.ts';
import { featureKey } from './commands.ts';
import { checkJobNames, checkJobUsers, namedUids } from './doctor-job-users.ts';
import { checkLegacyTable, type LegacyTableParts } from './doctor-legacy-table.ts';
import { checkKekSource, checkManagedStore, type OutsideParts, outsideStores } from './doctor-outside.ts';
import { stateOf } from './features.ts';
import { amber, type Check, type DoctorReport, type Finding, ok, red } from './finding.ts';
import { coreLimit, isSigusr1Disabled } from './hardening.ts';
import { isLoopback, listenProblems } from './listen-rules.ts';
import { holdersOfReferences } from './reference-holders.ts';
import { canAppend, freeBytes, minFreeBytes } from './readiness.ts';

export interface DoctorParts
  extends Omit<OutsideParts, 'settings' | 'store'>, Pick<LegacyTableParts, 'openLegacyTable'> {
  readonly settings: Settings;
  readonly ambient: Ambient;
  /** `null`: it could not be opened, as `storeProblem` says. */
  readonly store: Pick<Store, 'db' | 'dialect' | 'now'> | null;
  readonly storeProblem?: string;
}

const comfortableBytes = 1024 * 1024 * 1024;
const clockToleranceMilliseconds = 60_000;
/** Of the server, which never changes it. */
const ownUid = process.getuid?.();
const severity = { ok: 0, amber: 1, red: 2 } as const;

interface NamedCheck {
  readonly id: string;
  readonly title: string;
  readonly run: (parts: DoctorParts) => Finding | Promise<Finding>;
}

const checks: readonly NamedCheck[] = [
  { id: 'store', title: 'The store answers', run: checkStore },
  { id: 'schema', title: 'The schema is this release’s', run: checkSchema },
  { id: 'kek-file', title: 'The key file is the server’s alone', run: checkKekFile },
  { id: 'kek-source', title: 'The key-encryption key can be read again', run: checkKekSource },
  { id: 'recovery-kit', title: 'A recovery kit was made and tried', run: checkRecovery },
  { id: 'audit-anchor', title: 'The audit anchor can be written', run: checkAnchor },
  { id: 'audit-archive', title: 'The audit archive can be written', run: checkArchive },
  { id: 'disk', title: 'There is room on the disk', run: checkDisk },
  { id: 'clock', title: 'The clock agrees with the records', run: checkClock },
  { id: 'leases', title: 'Background work has a holder', run: checkLeases },
  { id: 'listen', title: 'The address fits the runner and the transport', run: checkListen },
  {
    id: 'job-users',
    title: 'Jobs run apart from the server',
    run: ({ settings }) => checkJobUsers({ settings, ownUid }),
  },
  {
    id: 'job-names',
    title: 'The system knows the users of jobs',
    run: ({ settings, store }) => checkJobNames({ settings, store, ownUid, named: namedUids }),
  },
  { id: 'proxy', title: 'Outgoing connections go the configured way', run: checkProxy },
  { id: 'feature', title: 'References work where they are held', run: checkFeature },
  { id: 'memory', title: 'Memory stays in the process', run: checkMemory },
];

/** Looks at an installation and says of each thing whether it's as it should be, what was found, and what to do. Reads no value. */
export async function runDoctor(parts: DoctorParts): Promise<DoctorReport> {
  const results = await Promise.all(
    [...checks, ...(await storeChecks(parts))].map(async ({ id, title, run }): Promise<Check> => ({
      id,
      title,
      ...(await attempt(run, parts)),
    })),
  );
  const worst = results.reduce<Check['status']>(
    (most, { status }) => (severity[status] > severity[most] ? status : most),
    'ok',
  );
  return { status: worst, checks: results };
}

const storeTitles = { KUBERNETES: 'Kubernetes', VAULT: 'Vault' } as const;

/** A line for each kind of managed store that is in use, and for a legacy install's table; none where that can't be found out, which the store's line says. */
async function storeChecks(parts: DoctorParts): Promise<readonly NamedCheck[]> {
  const types = await outsideStores(parts).catch(() => []);
  const table: NamedCheck = { id: 'legacy-table', title: 'The legacy table is taken over', run: checkLegacyTable };
  return [
    ...types.map((type) => ({
      id: `store-${type.toLowerCase()}`,
      title: `The managed store in ${storeTitles[type]} works`,
      run: () => checkManagedStore(parts, type),
    })),
    ...(parts.settings.managed.legacyTable === null ? [] : [table]),
  ];
}

async function attempt(run: (parts: DoctorParts) => Finding | Promise<Finding>, parts: DoctorParts): Promise<Finding> {
  try {
    return await run(parts);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    return red(`It could not be looked at${code}.`, 'The server’s log says more.');
  }
}

async function checkStore({ store, storeProblem, settings }: DoctorParts): Promise<Finding> {
  if (store === null)
    return red(storeProblem ?? 'It could not be opened.', 'Check the data directory or STRONGROOM_DATABASE_URL.');
  await store.db.selectFrom('installation').select('id').executeTakeFirst();
  const { database } = settings;
  if (database.kind === 'sqlite') return ok(`SQLite in ${settings.dataDir}`);
  const text = `PostgreSQL at ${database.address}`;
  if (database.servers === 1) return ok(text);
  const { rows } = await sql<{
    names: string;
  }>`select current_setting('synchronous_standby_names') as names`.execute(store.db);
  if (rows[0]?.names !== '') return ok(text);
  return amber(
    `${text}: the one that takes writes waits for no standby.`,
    'Set synchronous_standby_names on it: a failover could lose what was acknowledged, and an old primary could take writes.',
  );
}

async function checkSchema({ store }: DoctorParts): Promise<Finding> {
  if (store === null) return amber('Not known without the store.', 'Mend the store first.');
  const found = await readSchemaVersion(store.db as never);
  return found === schemaVersion
    ? ok(`Version ${found}`)
    : red(`Version ${found}, this release has ${schemaVersion}.`, 'Restart the server: it migrates at start.');
}

function checkKekFile({ settings }: DoctorParts): Finding {
  const { kek } = settings;
  if (kek.kind === 'vault') return ok('It is in Vault, and in no file of this machine');
  const { file } = kek;
  const stats = statSync(file);
  const mode = stats.mode & 0o777;
  if (!isPrivateFile(stats)) return red(`${file} has mode ${mode.toString(8)}.`, `chmod 600 ${file}`);
  if (
    kek.kind === 'file' &&
    kek.isDefault &&
    (settings.isProduction || settings.database.kind === 'postgres' || !isLoopback(settings.listen.host))
  )
    return amber(
      `${file} lies beside the data it protects.`,
      'Keep the key elsewhere (STRONGROOM_KEK_FILE), so that a copy of the data directory opens nothing.',
    );
  return ok(`${file}, mode ${mode.toString(8)}`);
}

async function checkRecovery({ store, settings }: DoctorParts): Promise<Finding> {
  if (store === null) return amber('Not known without the store.', 'Mend the store first.');
  const row = await store.db.selectFrom('installation').select(['kek_id', 'recovery_confirmed_at']).executeTakeFirst();
  const kit = join(settings.dataDir, firstKitName);
  const kekId = kekIdOfKit(kit);
  const confirmedAt = row?.recovery_confirmed_at ?? null;
  if (confirmedAt !== null) {
    const lies = kekId === null ? '' : `; ${kit} is of more use on another machine`;
    return ok(`Confirmed ${new Date(confirmedAt).toISOString()}${lies}`);
  }
  if (kekId !== null && kekId === row?.kek_id)
    return amber(
      `Nobody has tried the kit ${kit}: if the key file is lost, every value may be.`,
      `strongroom recovery confirm ${kit}, with the recovery key that the first start printed. Without that key: strongroom recovery create.`,
    );
  const old = kekId === null ? '' : ` ${kit} holds an older key.`;
  return amber(
    `Nobody has confirmed a kit of the key in use: if the key file is lost, every value is.${old}`,
    'Make a new kit with strongroom recovery create, then strongroom recovery confirm with the key it printed.',
  );
}

function checkAnchor({ settings: { auditAnchor } }: DoctorParts): Finding {
  if (auditAnchor.kind === 'stdout') return ok('Written to the standard output');
  canAppend(auditAnchor.path);
  return ok(auditAnchor.path);
}

function checkArchive({ settings: { audit } }: DoctorParts): Finding {
  const { archiveDir, retentionDays } = audit;
  if (archiveDir === undefined || retentionDays === undefined) return ok('Records stay in the database');
  accessSync(archiveDir, constants.W_OK | constants.X_OK);
  return ok(`After ${retentionDays} days to ${archiveDir}`);
}

function checkDisk({ settings }: DoctorParts): Finding {
  const free = freeBytes(settings.dataDir);
  const text = `${Math.floor(free / 1024 / 1024)} MiB free at ${settings.dataDir}`;
  if (free < minFreeBytes)
    return red(text, 'Free space: values are not released when the audit record cannot be written.');
  return free < comfortableBytes ? amber(text, 'Free space soon: run logs stop first, audit last.') : ok(text);
}

async function checkClock({ store }: DoctorParts): Promise<Finding> {
  if (store === null) return amber('Not known without the store.', 'Mend the store first.');
  const now = Date.now();
  if (store.dialect === 'postgres') {
    const { rows } = await sql<{
      now: string;
    }>`select (extract(epoch from clock_timestamp()) * 1000)::bigint::text as now`.execute(store.db);
    const apart = Math.abs(Number(rows[0]?.now) - now);
    if (apart > clockToleranceMilliseconds)
      return red(`${Math.round(apart / 1000)} s apart from the database’s clock.`, 'Let both keep time by NTP.');
  }
  const newest = await store.db
    .selectFrom('audit_checkpoints')
    .select('at')
    .orderBy('at', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (newest !== undefined && newest.at > now + clockToleranceMilliseconds)
    return red(
      'The newest audit checkpoint is from the future.',
      'Set the clock by NTP; the records keep their order all the same.',
    );
  return ok(new Date(now).toISOString());
}

async function checkLeases({ store }: DoctorParts): Promise<Finding> {
  if (store === null) return amber('Not known without the store.', 'Mend the store first.');
  const leases = await store.db.selectFrom('leases').select(['name', 'expires_at']).orderBy('name').execute();
  const held = leases.filter((lease) => lease.expires_at > store.now());
  return ok(held.length === 0 ? 'None is held now' : `Held: ${held.map((lease) => lease.name).join(', ')}`);
}

function checkListen({ settings }: DoctorParts): Finding {
  const problems = listenProblems(settings, ownUid === 0);
  const at = `${settings.listen.host}:${settings.listen.port}`;
  return problems.length === 0 ? ok(at) : red(problems.join(' '), 'The server refuses to start like this.');
}

function checkProxy({ ambient, settings }: DoctorParts): Finding {
  const { hasProxy, allow } = settings.egress;
  if (ambient.proxyVariables.length === 0 && hasProxy && allow.length === 0)
    return amber(
      'Through STRONGROOM_EGRESS_PROXY, and no name is on the list of what may be reached through it.',
      'Name backends and other services in STRONGROOM_EGRESS_ALLOW.',
    );
  if (ambient.proxyVariables.length === 0) return ok(hasProxy ? 'Through STRONGROOM_EGRESS_PROXY' : 'Directly');
  return amber(
    `Ignored: ${ambient.proxyVariables.join(', ')}.`,
    'Only STRONGROOM_EGRESS_PROXY is followed, and through it only names of STRONGROOM_EGRESS_ALLOW.',
  );
}

async function checkFeature({ store, settings }: DoctorParts): Promise<Finding> {
  if (store === null) return amber('Not known without the store.', 'Mend the store first.');
  const row = await store.db
    .selectFrom('settings')
    .select(['value', 'revision'])
    .where('key', '=', featureKey('secretsV2'))
    .executeTakeFirst();
  const { isEnabled, setBy } = stateOf(settings.features.secretsV2, row);
  if (isEnabled) return ok('secretsV2 is on');
  const { count } = await holdersOfReferences(store.db, 0);
  if (count === 0) return ok('secretsV2 is off, and no configuration holds a reference');
  return red(
    `secretsV2 is off, and ${count} configuration${count === 1 ? ' holds' : 's hold'} references: none of them launches.`,
    setBy === 'configuration'
      ? 'Remove STRONGROOM_FEATURES_SECRETSV2_ENABLED and restart, or strongroom placeholders undo.'
      : 'strongroom settings feature secretsV2 on, or strongroom placeholders undo.',
  );
}

function checkMemory(): Finding {
  const limit = coreLimit();
  if (limit !== null && limit !== '0')
    return amber(`Core files may have ${limit} bytes.`, 'Start with `ulimit -c 0`, or install prlimit (util-linux).');
  return isSigusr1Disabled()
    ? ok('No core files, no inspector by signal')
    : ok('No core files; the signal that opens the inspector is taken');
}
