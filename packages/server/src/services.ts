import { join } from 'node:path';
import { existsSync } from 'node:fs';
import type { routes } from '@strongroom/contract';
import { BundleAssets } from './access/bundle-assets.ts';
import { Bundles } from './access/bundles.ts';
import { Explain } from './access/explain.ts';
import { DecisionLinks } from './access/explain-links.ts';
import { Members } from './access/members.ts';
import { bundleHandlers, explainHandlers, grantHandlers, memberHandlers } from './access/routes.ts';
import { type AccessService, createAccess } from './access/service.ts';
import { WhoMay } from './access/who-may.ts';
import type { DenialCounter } from './audit/denials.ts';
import { auditHandlers } from './audit/routes.ts';
import { OpenedClusters } from './clusters/opened-clusters.ts';
import { clusterHandlers } from './clusters/routes.ts';
import { Clusters } from './clusters/service.ts';
import type { LoadedConfiguration } from './config/load.ts';
import { domainHandlers } from './domains/routes.ts';
import { Domains } from './domains/service.ts';
import type { HandlersOf } from './http/handler.ts';
import { type Identities, openIdentities } from './identities/index.ts';
import { LentImpact } from './impact/lent.ts';
import { impactHandlers } from './impact/routes.ts';
import { Impact } from './impact/service.ts';
import { IntegrationAssignments } from './integrations/assignments.ts';
import { ChoiceList, listIntegrations } from './integrations/choices.ts';
import type { OpenEgress } from './integrations/connection.ts';
import { IntegrationCredentials } from './integrations/credentials.ts';
import { IntegrationConformance } from './integrations/conformance.ts';
import { integrationSources } from './integrations/import-source.ts';
import { KeyIndex } from './integrations/key-index.ts';
import { keyQuestion } from './integrations/key-question.ts';
import type { LoadBackend } from './integrations/load-backend.ts';
import { OpenedBackends } from './integrations/opened-backends.ts';
import { type OpenCredentialStore, OutsideCredentials } from './integrations/outside-credentials.ts';
import { profileHandlers } from './integrations/profiles/routes.ts';
import { Profiles } from './integrations/profiles/service.ts';
import { integrationHandlers } from './integrations/routes.ts';
import { Integrations } from './integrations/service.ts';
import { IntegrationTester } from './integrations/tester.ts';
import type { Keyring } from './keys/keyring.ts';
import { kekSourceOf } from './keys/kek-source.ts';
import { keyHandlers } from './keys/routes.ts';
import { explainUse } from './launches/explain-use.ts';
import { DriftService } from './launches/drift.ts';
import { Resolver } from './launches/resolve.ts';
import { launchHandlers } from './launches/routes.ts';
import { createSealer, type Sealer } from './launches/sealer.ts';
import { LaunchService } from './launches/service.ts';
import { createDatabaseSource } from './launches/sources/database-source.ts';
import { SourceVersions } from './launches/source-versions.ts';
import { createIntegrationSource } from './launches/sources/integration-source.ts';
import { sourcesOf } from './launches/sources/source.ts';
import { createOpenCredentialStore } from './managed-stores/open-managed-store.ts';
import type { OpenManagedStore } from './managed-stores/opened-stores.ts';
import { followedTable } from './managed-stores/legacy-table/open-table.ts';
import { createManagedStores, type ManagedStoreParts } from './managed-stores/parts.ts';
import { noticeHandlers } from './notices/routes.ts';
import { NoticeSender } from './notices/sender.ts';
import { Notices } from './notices/service.ts';
import { Features } from './operation/features.ts';
import type { Log } from './operation/log.ts';
import type { Metrics } from './operation/metrics.ts';
import { freeBytes, minFreeBytes, Readiness } from './operation/readiness.ts';
import { operationHandlers } from './operation/routes.ts';
import { SettingsService } from './operation/settings-service.ts';
import { placeholderHandlers } from './placeholders/routes.ts';
import { RunReader } from './runs/reader.ts';
import { Redeployer } from './runs/redeploy.ts';
import { runHandlers } from './runs/routes.ts';
import { jobUsersOf, type RunnerSettings, RunService } from './runs/service.ts';
import { SecretImporter } from './secrets/importer.ts';
import { Inventory } from './secrets/inventory.ts';
import { SecretReader } from './secrets/reader.ts';
import { secretKnowledge } from './secrets/knowledge.ts';
import { secretHandlers } from './secrets/routes.ts';
import { Secrets } from './secrets/service.ts';
import type { Store } from './store/store.ts';
import { computeClusterHandlers } from './surfaces/compute-cluster/routes.ts';
import { connectionHandlers } from './surfaces/connection/routes.ts';
import { createMailer, type Mailer } from './surfaces/email/mailer.ts';
import { emailHandlers } from './surfaces/email/routes.ts';
import { notebookHandlers } from './surfaces/notebook/routes.ts';
import { LdapSync } from './surfaces/ldap/sync.ts';
import { createLdapSignIn } from './surfaces/ldap/sign-in.ts';
import { ldapHandlers } from './surfaces/ldap/routes.ts';
import { FormTester } from './surfaces/form-test.ts';
import { OwnedSecrets } from './surfaces/owned-secrets.ts';
import { PlatformUse } from './surfaces/platform-use.ts';
import { surfaces } from './surfaces/registry.ts';
import { referenceHandlers } from './surfaces/routes.ts';
import { ConfigurationService } from './surfaces/service.ts';
import { sparkJobHandlers } from './surfaces/spark-job/routes.ts';
import { storageConfigHandlers } from './surfaces/storage-config/routes.ts';
import { ReferenceUses } from './surfaces/uses.ts';
import { WorkloadAuthentication } from './workloads/authentication.ts';
import { workloadHandlers, Workloads } from './workloads/service.ts';

export interface ServiceParts {
  readonly store: Store;
  readonly keyring: Keyring;
  /** Ed25519, 32 bytes. */
  readonly auditPublicKey: Uint8Array;
  readonly denials: DenialCounter;
  readonly configuration: LoadedConfiguration;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly isStopping: () => boolean;
  /** The only way to addresses that somebody typed. */
  readonly egress: OpenEgress;
  readonly loadBackend: LoadBackend;
  /** For scopes whose values are outside the database. */
  readonly openManagedStore: OpenManagedStore;
  /** In place of the objects in Kubernetes that have integrations' credentials. */
  readonly openCredentialStore?: OpenCredentialStore | undefined;
  /** Of leases; unique per process start. */
  readonly holder: string;
  /** In place of sealing to the workload's key: for measuring what the rest of a delivery takes. */
  readonly sealer?: Sealer | undefined;
}

export interface Services {
  readonly access: AccessService;
  readonly identities: Identities;
  readonly features: Features;
  readonly runs: RunService;
  /** Backends of integrations, for whoever resolves references to them. */
  readonly backends: OpenedBackends;
  readonly outsideCredentials: OutsideCredentials;
  readonly keyIndex: KeyIndex;
  readonly sourceVersions: SourceVersions;
  readonly managed: ManagedStoreParts;
  /** Kubernetes clusters and the namespaces of them that belong to domains. */
  readonly clusters: OpenedClusters;
  readonly ownedSecrets: OwnedSecrets;
  /** Sends the product's own mail. */
  readonly mailer: Mailer;
  /** Tells of expiries and due rotations. */
  readonly noticeSender: NoticeSender;
  readonly ldapSync: LdapSync;
  readonly handlers: HandlersOf<typeof routes>;
}

/** Puts the folders together: each service gets the collaborators it uses, each route its handler. */
export function createServices(parts: ServiceParts): Services {
  const { store, keyring, configuration, metrics, log } = parts;
  const { settings, ambient } = configuration;
  const { limits } = settings;
  const report = (message: string, error: unknown): void => log.warn({ error }, message);

  const access = createAccess(store);
  const features = new Features(store, settings.features);
  const areReferencesEnabled = () => features.isEnabled('secretsV2');

  const kekSource = kekSourceOf(configuration);
  const reader = new SecretReader(store, keyring, access, listIntegrations(store, access, features));
  const secretLimits = {
    valueBytes: limits.valueBytes,
    keysPerScope: limits.keysPerScope,
    keptVersions: limits.secretVersions,
    retentionDays: limits.deletedRetentionDays,
  };
  const managed = createManagedStores(store, keyring, parts.openManagedStore, { limits: secretLimits });
  const secrets = new Secrets(store, access, keyring, reader, secretLimits, managed.writes);
  const { backends, keyIndex, outsideCredentials, handlers: ofIntegrations } = createIntegrations(parts, access);
  const importer = new SecretImporter({
    store,
    secrets,
    reader,
    openIntegration: integrationSources(store, access, backends, areReferencesEnabled),
    maxValueBytes: limits.valueBytes,
    writes: managed.writes,
  });

  const sources = sourcesOf({
    managed: { DATABASE: createDatabaseSource(keyring), KUBERNETES: managed.source, VAULT: managed.source },
    integrations: createIntegrationSource(backends, keyring),
  });
  const resolver = new Resolver(store, access, sources, areReferencesEnabled, report);
  const clusters = new OpenedClusters({ store, resolver, egress: parts.egress });
  const identities = openIdentities(store, keyring, access, {
    denials: parts.denials,
    workloads: new WorkloadAuthentication({
      store,
      access,
      clusters,
      onError: (error) => report('a token of a workload could not be checked', error),
    }),
    onError: (error) => report('identities: background work failed', error),
    // Made below: nobody signs in before the server listens.
    directory: (request) => ldapSignIn(request),
  });
  const { installationId } = keyring;
  const runs = new RunService({
    store,
    access,
    resolver,
    settings: runnerSettings(parts),
    report,
    clusters,
    installationId,
  });
  const runReader = new RunReader(store, access, keyring);
  const owned = new OwnedSecrets({ store, secrets, reader, writes: managed.writes, maxValueBytes: limits.valueBytes });
  const surfaceParts = { store, access, keys: keyring, owned, areReferencesEnabled, report };
  const ldapUse = new PlatformUse(surfaces.ldap, store, resolver);
  const ldapSignIn = createLdapSignIn(ldapUse, parts.egress);
  const ldapSync = new LdapSync({ store, use: ldapUse, openEgress: parts.egress, holder: parts.holder, report });
  const mailer = createMailer(new PlatformUse(surfaces.email, store, resolver), parts.egress);
  const noticeParts = { store, resolver, mailer, egress: parts.egress };
  const testParts = { store, access, resolver, owned };
  const launchParts = { store, resolver, runs, reader: runReader };
  const launches = new LaunchService({ store, access, resolver, sealer: parts.sealer ?? createSealer() });
  const drift = new DriftService(store, access, keyring);
  const whoMay = new WhoMay(store, access);
  const decisionLinks = new DecisionLinks(store, whoMay);
  const members = new Members(store, access, keyring);
  const bundles = new Bundles(store, access, keyring);
  const assets = new BundleAssets(store, access, keyring);
  const domains = new Domains({
    store,
    access,
    keys: keyring,
    onDelete: (id) => keyring.forgetScope(id),
    managed: settings.managed,
  });
  const { auditAnchor } = settings;

  return {
    access,
    identities,
    features,
    runs,
    backends,
    outsideCredentials,
    keyIndex,
    sourceVersions: new SourceVersions(store, backends),
    managed,
    clusters,
    ownedSecrets: owned,
    ldapSync,
    mailer,
    noticeSender: new NoticeSender(noticeParts),
    handlers: {
      ...identities.handlers,
      ...memberHandlers(members),
      ...grantHandlers(members),
      ...bundleHandlers(bundles, assets),
      ...explainHandlers(
        new Explain({
          store,
          access,
          links: decisionLinks,
          askKey: keyQuestion(store, access, backends),
          explainUse: explainUse({ store, access, links: decisionLinks, runs, areReferencesEnabled }),
          areReferencesEnabled,
        }),
      ),
      ...domainHandlers(domains),
      ...keyHandlers(store, keyring, access, kekSource),
      ...secretHandlers(
        { secrets, reader, importer, inventory: new Inventory(store, keyring, access, reader) },
        secretKnowledge(access, whoMay, drift, keyring),
      ),
      ...ofIntegrations,
      ...noticeHandlers(new Notices({ ...noticeParts, access, keys: keyring })),
      ...impactHandlers(new Impact(store, access, reader), {
        bundles,
        assets,
        domains,
        accounts: identities.accounts,
        lent: new LentImpact({ store, access, clusters, runs }),
      }),
      ...clusterHandlers(
        new Clusters({
          store,
          access,
          keys: keyring,
          opened: clusters,
          installationId: keyring.installationId,
          egress: parts.egress,
          allowsInCluster: settings.clusters.inCluster,
        }),
      ),
      ...workloadHandlers(new Workloads(store, access)),
      ...auditHandlers({
        store,
        keys: keyring,
        publicKey: parts.auditPublicKey,
        anchorPath: auditAnchor.kind === 'file' ? auditAnchor.path : null,
      }),
      ...referenceHandlers(new ReferenceUses(store, access, keyring, reader)),
      ...placeholderHandlers({ store, access, keys: keyring, areReferencesEnabled, secrets }),
      ...sparkJobHandlers(new ConfigurationService(surfaces['spark-job'], surfaceParts), launchParts),
      ...computeClusterHandlers(new ConfigurationService(surfaces['compute-cluster'], surfaceParts), launchParts),
      ...notebookHandlers(new ConfigurationService(surfaces.notebook, surfaceParts), launchParts),
      ...storageConfigHandlers(
        new ConfigurationService(surfaces['storage-config'], surfaceParts),
        new FormTester(surfaces['storage-config'], testParts),
        parts.egress,
      ),
      ...connectionHandlers({
        store,
        access,
        settings: settings.managed.kubernetes,
        connections: new ConfigurationService(surfaces.connection, surfaceParts),
        tester: new FormTester(surfaces.connection, testParts),
        openEgress: parts.egress,
      }),
      ...ldapHandlers(
        new ConfigurationService(surfaces.ldap, surfaceParts),
        new FormTester(surfaces.ldap, testParts),
        ldapSync,
        parts.egress,
      ),
      ...emailHandlers(
        new ConfigurationService(surfaces.email, surfaceParts),
        new FormTester(surfaces.email, testParts),
        parts.egress,
      ),
      ...runHandlers(runs, runReader, new Redeployer({ store, access, runs, reader: runReader, report }), access),
      ...launchHandlers(launches, drift),
      ...operationHandlers({
        readiness: new Readiness({ store, keys: keyring, settings, isStopping: parts.isStopping }),
        metrics,
        settings: new SettingsService(store, access, features, settings),
        doctor: {
          settings,
          ambient,
          store,
          kek: kekSource,
          openManagedStore: parts.openManagedStore,
          openLegacyTable: followedTable(configuration)?.open ?? null,
        },
      }),
    },
  };
}

function createIntegrations(
  { store, keyring, egress, loadBackend, openCredentialStore, holder, configuration, metrics }: ServiceParts,
  access: AccessService,
) {
  const { managed, limits } = configuration.settings;
  const outsideCredentials = new OutsideCredentials({
    store,
    open: openCredentialStore ?? createOpenCredentialStore({ settings: managed, keys: keyring }),
    isUsed: managed.kubernetes.layout === 'scope-objects',
  });
  const credentials = new IntegrationCredentials(store, keyring, outsideCredentials);
  const backends = new OpenedBackends({
    store,
    credentials,
    egress,
    load: loadBackend,
    onCall: ({ type, outcome, durationMs }) => metrics.observeSource(type, outcome, durationMs),
  });
  const shared = { store, access, keys: keyring, credentials, backends, egress };
  const keyIndex = new KeyIndex({
    store,
    backends,
    holder,
    maxKeys: limits.keysPerIntegration,
    refreshEveryMilliseconds: limits.integrationRefreshMinutes * 60_000,
  });
  const handlers = integrationHandlers({
    integrations: new Integrations({ ...shared, maxIntegrations: limits.integrationsPerScope }),
    assignments: new IntegrationAssignments(store, access),
    tester: new IntegrationTester(shared),
    conformance: new IntegrationConformance(store, backends),
    index: keyIndex,
    choices: new ChoiceList(store, access, keyring),
  });
  const profiles = new Profiles(store, access, keyring, egress);
  return { backends, keyIndex, outsideCredentials, handlers: { ...handlers, ...profileHandlers(profiles) } };
}

function runnerSettings({ configuration, keyring }: ServiceParts): RunnerSettings {
  const { settings, ambient } = configuration;
  const { limits } = settings;
  return {
    folders: {
      installationId: keyring.installationId,
      temporaryDirectory: ambient.temporaryDirectory,
      memoryDirectory: existsSync('/dev/shm') ? '/dev/shm' : null,
    },
    logs: {
      directory: join(settings.dataDir, 'run-logs'),
      quotaBytes: limits.runLogsTotalBytes,
      keepDays: limits.runLogRetentionDays,
      // Logs are the first to stop when the disk fills up, well before audit.
      reserveBytes: Math.min(256 * 1024 * 1024, Math.max(minFreeBytes, freeBytes(settings.dataDir) / 20)),
    },
    path: ambient.path,
    language: ambient.language,
    jobUsers: jobUsersOf(settings),
    maxConcurrent: limits.concurrentRuns,
    processRunner: settings.runner === 'process' ? 'available' : 'off',
    defaultRunner: settings.runner === 'process' ? 'process' : 'kubernetes',
  };
}
