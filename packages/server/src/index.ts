export type { ArchivedSegment } from './audit/archive.ts';
export { withMacKeys } from './audit/mac-keys.ts';
export { verifyArchive, verifyDataDirectory, verifyExport } from './audit/verify-files.ts';
export type { VerifyReport } from './audit/verify-report.ts';
export { processEnvironment } from './config/environment.ts';
export { defaultTable } from './config/legacy-store.ts';
export { ConfigurationError, loadConfiguration, type LoadedConfiguration } from './config/load.ts';
export { settingsTable } from './config/schema.ts';
export { adoptStore, type AdoptedThing, type AdoptionReport, type AdoptionRequest } from './managed-stores/adopt.ts';
export {
  adoptLegacyTable,
  configuredTable,
  type LegacyTablePlace,
  type TableAdoption,
  type TableRow,
} from './managed-stores/legacy-table/index.ts';
export type { DoctorReport } from './operation/finding.ts';
export { endOnUncaught, hardenProcess } from './operation/hardening.ts';
export { createLog, type Log } from './operation/log.ts';
export { version } from './operation/version.ts';
export * from './operator.ts';
export { serve } from './serve.ts';
export { type RunningServer, startServer } from './start.ts';
