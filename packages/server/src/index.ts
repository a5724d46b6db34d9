export { processEnvironment } from './config/environment.ts';
export { ConfigurationError, loadConfiguration, type LoadedConfiguration } from './config/load.ts';
export { settingsTable } from './config/schema.ts';
export { type DoctorReport, runDoctor } from './operation/doctor.ts';
export { endOnUncaught, hardenProcess } from './operation/hardening.ts';
export { createLog, type Log } from './operation/log.ts';
export { version } from './operation/version.ts';
export { serve } from './serve.ts';
export { type RunningServer, startServer } from './start.ts';
