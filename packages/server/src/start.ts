import { existsSync, mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { routes, StrongroomError } from '@strongroom/contract';
import { type Kek, SigningKey } from '@strongroom/crypto';
import { archiveJob } from './audit/archive-job.ts';
import { type AuditBackground, startAuditBackground } from './audit/background.ts';
import type { AuditEvent } from './audit/event.ts';
import type { KekSettings } from './config/kek-settings.ts';
import { ConfigurationError, type LoadedConfiguration } from './config/load.ts';
import { type App, createApp } from './http/app.ts';
import { loadPages } from './http/pages.ts';
import { bootstrapIdentities, type BootstrapResult, signInLinkText } from './identities/index.ts';
import { lazyEgress } from './integrations/lazy-egress.ts';
import { loadBackend } from './integrations/load-backend.ts';
import { DestroyedScopes } from './keys/destroyed-scopes.ts';
import { kekSourceOf } from './keys/kek-source.ts';
import { type AuditKeyMaterial, type Keyring, openKeyring } from './keys/keyring.ts';
import { firstKitName, writeRecoveryKit } from './keys/recovery.ts';
import { applyConfiguredStores } from './managed-stores/choice.ts';
import { followedTable } from './managed-stores/legacy-table/open-table.ts';
import { createOpenManagedStore } from './managed-stores/open-managed-store.ts';
import { legacyTableJob, noticeJobs, periodicJobs, retentionJob, sweepOwnedSecrets } from './operation/jobs.ts';
import { isLoopback, listenProblems } from './operation/listen-rules.ts';
import type { Log } from './operation/log.ts';
import { listenForMetrics, Metrics } from './operation/metrics.ts';
import { type PeriodicJob, Scheduler } from './operation/scheduler.ts';
import { version } from './operation/version.ts';
import { createServices, type ServiceParts, type Services } from './services.ts';
import { defaultDiskReserve } from './store/disk-reserve.ts';
import { openPostgresStore } from './store/postgres.ts';
import { openSqliteStore } from './store/sqlite.ts';
import type { OpenStore } from './store/store.ts';

export interface StartOptions {
  readonly configuration: LoadedConfiguration;
  readonly log: Log;
  readonly sealer?: ServiceParts['sealer'];
  /** In place of the backends that there are. */
  readonly loadBackend?: ServiceParts['loadBackend'];
  /** In place of Kubernetes and Vault as managed stores. */
  readonly openManagedStore?: ServiceParts['openManagedStore'];
  /** In place of the objects in Kubernetes that have integrations' credentials. */
  readonly openCredentialStore?: ServiceParts['openCredentialStore'];
  /** In place of what runs the periodic jobs; no directory is synced by itself then, either. */
  readonly scheduler?: Pick<Scheduler, 'start' | 'stop'>;
  /** Of writes to the store, in place of its 5 s. */
  readonly writeDeadlineMilliseconds?: number;
}

export interface RunningServer {
  /** Where this machine reaches it. */
  readonly url: string;
  readonly metricsUrl: string | undefined;
  readonly version: string;
  /** While the first administrator has not signed in: the one-time link, whole. */
  readonly signInLink: { readonly userName: string; readonly url: string; readonly expiresAt: Date } | null;
  /** What this start made, on an empty installation. */
  readonly created: BootstrapResult['created'];
  /** A kit that this start made, with the recovery key that opens it: to be shown once and kept nowhere. */
  readonly recovery: { readonly kitFile: string; readonly recoveryKey: string } | null;
  /** What the operator should know, whole sentences. */
  readonly warnings: readonly string[];
  readonly store: OpenStore;
  readonly keyring: Keyring;
  readonly services: Services;
  /** Settles when the store ended by itself: the process should end. Never while all is well. */
  readonly failed: Promise<Error>;
  /** Finishes what is under way (10 s at most) and closes everything, in the order of dependence. Idempotent. */
  stop(): Promise<void>;
}

const graceMilliseconds = 10_000;

/**
 * Starts everything: store, keys, audit, services, HTTP, background work. What was opened is closed again when a later step
 * fails.
 *
 * @throws ConfigurationError when the address must not be served; StrongroomError of the step that failed; the system's
 * error when the address can't be listened on
 */
export async function startServer({ configuration, log, ...replaced }: StartOptions): Promise<RunningServer> {
  const { settings } = configuration;
  const problems = listenProblems(settings, process.getuid?.() === 0);
  if (problems.length > 0) throw new ConfigurationError(problems);
  const closers: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await open(configuration, log, replaced, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function open(
  configuration: LoadedConfiguration,
  log: Log,
  replaced: Omit<StartOptions, 'configuration' | 'log'>,
  closers: (() => Promise<void> | void)[],
  closeAll: () => Promise<void>,
): Promise<RunningServer> {
  const { settings } = configuration;
  const kekSource = kekSourceOf(configuration);
  const isNewKek = kekSource.makesKey();
  const store = await openStore(configuration, log, replaced);
  closers.push(() => store.close());
  const { kek, installationId } = await kekSource.open(store);
  const keyring = await openKeyring(store, kek, installationId);
  closers.push(() => keyring.close());
  const destroyedScopes = new DestroyedScopes(store, keyring, (error) =>
    log.warn({ error }, 'whether keys were destroyed elsewhere could not be seen; it is tried again'),
  );
  closers.push(() => destroyedScopes.stop());
  const { auditKeys, background, archiving } = await openAudit(store, keyring, configuration, log);
  closers.push(() => background.stop());
  await applyConfiguredStores(store, settings.managed);

  let isStopping = false;
  const metrics = new Metrics();
  const egress = lazyEgress(configuration);
  closers.push(() => egress.close());
  const holder = holderName();
  const services = createServices({
    store,
    keyring,
    auditPublicKey: auditKeys.publicKey,
    denials: background.denials,
    configuration,
    metrics,
    log,
    isStopping: () => isStopping,
    egress: egress.open,
    loadBackend: replaced.loadBackend ?? loadBackend,
    openManagedStore:
      replaced.openManagedStore ??
      createOpenManagedStore({
        settings: settings.managed,
        keys: keyring,
        egress: egress.open,
        legacyVaultToken: configuration.secrets.legacyVaultToken,
      }),
    openCredentialStore: replaced.openCredentialStore,
    holder,
    sealer: replaced.sealer,
  });
  closers.push(() => services.backends.close());
  closers.push(() => services.clusters.close());
  closers.push(() => services.outsideCredentials.close());
  closers.push(() => services.managed.stores.close());
  closers.push(() => services.identities.close());
  const first = await bootstrapIdentities(store, keyring, { bootstrapTokenFile: settings.bootstrapTokenFile });
  await services.runs.open();
  closers.push(() => services.runs.close());

  const scheduler = replaced.scheduler ?? new Scheduler(store, holder, log);
  scheduler.start(archiving);
  const { keyIndex, managed, sourceVersions, outsideCredentials } = services;
  scheduler.start(periodicJobs(store, keyring, keyIndex, managed, sourceVersions, outsideCredentials));
  const table = followedTable(configuration);
  if (table !== null) scheduler.start([legacyTableJob({ store, keys: keyring, limits: settings.limits, ...table })]);
  if (replaced.scheduler === undefined) services.ldapSync.start();
  closers.push(() => services.ldapSync.close());
  scheduler.start([sweepOwnedSecrets(services.ownedSecrets), ...noticeJobs(services.noticeSender)]);
  const { launchRetentionDays } = settings.limits;
  scheduler.start([retentionJob(store, launchRetentionDays, (removed) => metrics.countRemoved(removed))]);
  closers.push(() => scheduler.stop());
  const metricsServer =
    settings.metricsListen === undefined ? undefined : await listenForMetrics(metrics, settings.metricsListen);
  if (metricsServer !== undefined) closers.push(() => closeServer(metricsServer));
  const app = await listen(configuration, services, keyring, metrics, log);
  closers.push(async () => {
    isStopping = true;
    await app.stop(graceMilliseconds);
  });

  const url = settings.publicUrl ?? localUrl(settings, app);
  // Last: a kit whose key nobody was shown is of no use.
  const mayMakeKit = isNewKek || (isOfServer(settings.kek) && first.signInLink !== null);
  const recovery = mayMakeKit ? await makeFirstKit(configuration, store, kek, log) : null;
  let stopped: Promise<void> | undefined;
  const failed = Promise.withResolvers<Error>();
  void store.closed.then((error) => {
    if (error !== undefined) failed.resolve(error);
  });
  return {
    url,
    metricsUrl: metricsServer === undefined ? undefined : urlOf('http', metricsServer, '/metrics'),
    version,
    signInLink:
      first.signInLink === null
        ? null
        : {
            userName: first.signInLink.userName,
            url: signInLinkText(url, first.signInLink.link),
            expiresAt: new Date(first.signInLink.link.expiresAt),
          },
    created: first.created,
    recovery,
    warnings: warningsOf(configuration, isNewKek, recovery !== null),
    store,
    keyring,
    services,
    failed: failed.promise,
    stop: () => {
      isStopping = true;
      stopped ??= closeAll();
      return stopped;
    },
  };
}

/** Whether the server has made the key, and not the operator. */
function isOfServer(kek: KekSettings): boolean {
  return kek.kind === 'aws-kms' || (kek.kind === 'file' && kek.isDefault);
}

/**
 * The recovery kit of a new installation. Not where the standard output is the audit anchor: it is collected then, and so
 * most likely is the standard error, which would take the recovery key along.
 */
async function makeFirstKit(
  { settings }: LoadedConfiguration,
  store: OpenStore,
  kek: Kek,
  log: Log,
): Promise<RunningServer['recovery']> {
  const kitFile = join(settings.dataDir, firstKitName);
  if (settings.auditAnchor.kind === 'stdout' || existsSync(kitFile)) return null;
  const installation = await store.db.selectFrom('installation').select('recovery_confirmed_at').executeTakeFirst();
  if (installation?.recovery_confirmed_at !== null) return null;
  try {
    return { kitFile, ...(await writeRecoveryKit(kek, kitFile)) };
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    log.warn({ error }, 'no recovery kit could be written; doctor says how to make one');
    return null;
  }
}

async function openStore(
  { settings, secrets }: LoadedConfiguration,
  log: Log,
  { writeDeadlineMilliseconds }: Pick<StartOptions, 'writeDeadlineMilliseconds'>,
): Promise<OpenStore> {
  const writes = writeDeadlineMilliseconds === undefined ? {} : { writeDeadlineMilliseconds };
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(settings.kek.file), { recursive: true, mode: 0o700 });
  if (secrets.databaseUrl === undefined)
    return openSqliteStore({ directory: settings.dataDir, reserve: defaultDiskReserve, ...writes });
  return openPostgresStore({
    url: secrets.databaseUrl,
    ...writes,
    onIdleError: (error) => log.warn({ error }, 'an idle connection to PostgreSQL broke; it is replaced'),
  });
}

/** Opens this process's chain, whose first record says that the server starts; the last one will say that it stops. */
async function openAudit(
  store: OpenStore,
  keyring: Keyring,
  { settings }: LoadedConfiguration,
  log: Log,
): Promise<{
  readonly auditKeys: AuditKeyMaterial;
  readonly background: AuditBackground;
  readonly archiving: readonly PeriodicJob[];
}> {
  const { auditAnchor } = settings;
  const anchorPath = auditAnchor.kind === 'file' ? auditAnchor.path : null;
  if (anchorPath !== null) mkdirSync(dirname(anchorPath), { recursive: true, mode: 0o700 });
  const { epoch } = await store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
  const auditKeys = await keyring.auditKeys();
  const signing = new SigningKey(Uint8Array.from(auditKeys.signingSeed));
  await store.startAudit({ keys: auditKeys, epoch, anchor: { path: anchorPath, isOnStdout: anchorPath === null } });
  await store.execute('access.record', undefined, { audit: [systemEvent('server.start')] });
  const background = await startAuditBackground(
    { store, signing, installationId: keyring.installationId, epoch, anchorPath },
    (error) => log.warn({ error }, 'an audit checkpoint could not be made; it is tried again'),
  );
  const { retentionDays: days, archiveDir: directory } = settings.audit;
  return {
    auditKeys,
    archiving:
      days === undefined || directory === undefined
        ? []
        : [archiveJob({ store, signing, installationId: keyring.installationId }, { directory, days })],
    background: {
      denials: background.denials,
      stop: async () => {
        await store.execute('access.record', undefined, { audit: [systemEvent('server.stop')] });
        await background.stop();
        signing.destroy();
        auditKeys.macKey.fill(0);
        auditKeys.signingSeed.fill(0);
      },
    },
  };
}

function systemEvent(action: 'server.start' | 'server.stop'): AuditEvent {
  return { principal: 'system', principalName: 'system', action, outcome: 'allowed', detail: { version } };
}

async function listen(
  { settings, secrets }: LoadedConfiguration,
  services: Services,
  keyring: Keyring,
  metrics: Metrics,
  log: Log,
): Promise<App> {
  const { host } = settings.listen;
  const isAnyAddress = host === '0.0.0.0' || host === '::';
  const app = createApp({
    routes,
    handlers: services.handlers,
    authentication: services.identities.authentication,
    access: services.access,
    keys: keyring,
    features: services.features,
    settings: {
      hosts: isAnyAddress ? settings.hosts : [...settings.hosts, host.includes(':') ? `[${host}]` : host],
      publicUrl: settings.publicUrl,
      trustedProxies: settings.trustedProxies,
      tls: secrets.tls,
      limits: settings.limits,
    },
    log,
    metrics,
    pages: await loadPages(),
  });
  metrics.gauge('strongroom_http_requests_in_flight', 'Requests under way', () => app.inFlight.size);
  await app.fastify.listen({ host, port: settings.listen.port });
  return app;
}

function localUrl({ listen: { host }, tls }: LoadedConfiguration['settings'], app: App): string {
  const isAnyAddress = host === '0.0.0.0' || host === '::';
  return urlOf(tls === undefined ? 'http' : 'https', app.fastify.server, '', isAnyAddress ? '127.0.0.1' : host);
}

function urlOf(scheme: string, server: Pick<Server, 'address'>, path: string, host?: string): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new StrongroomError('internal');
  const name = host ?? address.address;
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${address.port}${path}`;
}

function warningsOf({ settings, ambient }: LoadedConfiguration, isNewKek: boolean, hasKit: boolean): string[] {
  const warnings: string[] = [];
  const { kek } = settings;
  if (isNewKek)
    warnings.push(
      `A new key file was made: ${kek.file}. Whoever loses it${kek.kind === 'aws-kms' ? ', or its key in KMS,' : ''} loses every value${
        hasKit ? ', unless the recovery kit is kept.' : '; make a recovery kit with strongroom recovery create.'
      }`,
    );
  if (
    kek.kind === 'file' &&
    kek.isDefault &&
    (settings.isProduction || settings.database.kind === 'postgres' || !isLoopback(settings.listen.host))
  )
    warnings.push(
      `The key file ${kek.file} lies beside the data it protects. Name another place with STRONGROOM_KEK_FILE.`,
    );
  if (settings.runner === 'process' && process.getuid?.() !== 0)
    warnings.push(
      'Not started as root: jobs have the rights of this server and can read its key. Right for one person on one machine.',
    );
  if (ambient.proxyVariables.length > 0)
    warnings.push(`Ignored: ${ambient.proxyVariables.join(', ')}. Only STRONGROOM_EGRESS_PROXY is followed.`);
  return warnings;
}

/** Unique per process start. */
function holderName(): string {
  return `${hostname()} ${process.pid} ${randomBytes(6).toString('hex')}`;
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}
