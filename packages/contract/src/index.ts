export * from './actions.ts';
export * from './errors.ts';
export * from './legacy-forms.ts';
export * from './name-patterns.ts';
export { isPath, isPathSegment } from './path-segments.ts';
export * from './names.ts';
export * from './placeholders.ts';
export * from './presets.ts';
export * from './reference.ts';
export * from './roles.ts';
export { type StoreName, storeNames } from './store-names.ts';
export * from './route.ts';
export * from './openapi.ts';
export { errorsPage, permissionsPage, routesPage } from './reference-pages.ts';
export { operationRoutes } from './routes/operation.ts';
export { routes } from './routes/index.ts';
export { AuditRecord, auditRoutes } from './routes/audit.ts';
export { authRoutes, type SessionTransport } from './routes/auth.ts';
export { groupRoutes, userRoutes } from './routes/identities.ts';
export { domainServiceAccountRoutes, serviceAccountRoutes } from './routes/service-accounts.ts';
export { launchRoutes } from './routes/launches.ts';
export { maxRedeployed, type ResolveOutcome, resolveOutcomes, runRoutes, runStates } from './routes/runs.ts';
export { impactRoutes } from './routes/impact.ts';
export { adminNoticeRoutes, defaultExpiryLeadDays, domainNoticeRoutes, globalNoticeRoutes } from './routes/notices.ts';
export { keyRoutes } from './routes/keys.ts';
export { adminSecretRoutes, assignmentRoutes, domainSecretRoutes, globalSecretRoutes } from './routes/secrets.ts';
export {
  adminIntegrationRoutes,
  domainChoiceRoutes,
  domainIntegrationRoutes,
  globalIntegrationRoutes,
  integrationAssignmentRoutes,
  platformChoiceRoutes,
} from './routes/integrations.ts';
export { backendDeclarations, type IntegrationType } from './backends/index.ts';
export type { BackendDeclaration, SourceType } from './backends/declaration.ts';
export { clusterRoutes, namespacePattern } from './routes/clusters.ts';
export { workloadRoutes } from './routes/workloads.ts';
export { profileRoutes, profileSettings } from './routes/profiles.ts';
export { SecretMetadata } from './routes/secret-schemas.ts';
export { type InventoryFinding, inventoryFindings, InventoryItem } from './routes/inventory-schemas.ts';
export {
  computeClusterRoutes,
  notebookRoutes,
  referenceRoutes,
  sparkJobRoutes,
  storageConfigRoutes,
} from './routes/surfaces.ts';
export { connectionRoutes } from './routes/connections.ts';
export {
  type LegacyKind,
  placeholderRoutes,
  platformPlaceholderRoutes,
  type StayReason,
  stayReasons,
} from './routes/placeholders.ts';
export { emailRoutes, ldapRoutes } from './routes/platform-surfaces.ts';
export { Email as EmailSettings, EmailPut, EmailTest, mailAddressPattern, smtpPorts } from './surfaces/email.ts';
export { Ldap as LdapSettings, ldapLimits, LdapPut, LdapSyncState, LdapTest } from './surfaces/ldap.ts';
export * from './surfaces/fields.ts';
export * from './surfaces/unresolved-fields.ts';
export * from './surfaces/actions.ts';
export * from './surfaces/compute-cluster.ts';
export * from './surfaces/notebook.ts';
export * from './surfaces/spark-job.ts';
export * from './surfaces/connection.ts';
export {
  type ConfigSchema,
  type ConnectionType,
  connectionTypeNames,
  connectionTypes,
} from './surfaces/connection-types.ts';
export * from './surfaces/storage-config.ts';
export * from './surfaces/test-steps.ts';
export { bundleRoutes, grantRoutes, memberRoutes, permissionWords, principalNamePattern } from './routes/access.ts';
export { domainRoutes } from './routes/domains.ts';
export {
  type ExplainLink,
  explainLinks,
  type ExplainOutcome,
  explainOutcomes,
  explainRoutes,
} from './routes/explain.ts';
export { checkVaultSegments, formatVaultPath, parseVaultPath, type VaultPath } from './vault-path.ts';
export * from './kubernetes-rbac.ts';
export * from './kubernetes-scope-objects.ts';
export * from './kubernetes-tags.ts';
export { type AwsAuthentication, awsBackend, type AwsSettings } from './backends/aws.ts';
export { type AzureAuthentication, azureBackend, type AzureSettings } from './backends/azure.ts';
export { type GoogleAuthentication, googleBackend, type GoogleSettings } from './backends/google.ts';
export { googleTokenUrl, readServiceAccountKey, type ServiceAccountKey } from './backends/service-account-key.ts';
export { kubernetesStore, type KubernetesStoreSettings } from './backends/kubernetes.ts';
export { type VaultAuthentication, vaultBackend, type VaultSettings } from './backends/vault.ts';
