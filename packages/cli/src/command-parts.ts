import type { Command } from 'commander';
import type { Cli } from './cli.ts';

type AddCommands = (program: Command, cli: Cli) => void;

/** Commands that are built together, loaded when one of them is called. */
export interface CommandPart {
  /** Of the commands that it adds to the program, all of them, hidden ones included. */
  readonly names: readonly string[];
  readonly load: () => Promise<AddCommands>;
}

/** What shells run while somebody types; hidden. */
export const completionCommand = '__complete';

/** Every command there is, in the order of the help. */
export const commandParts: readonly CommandPart[] = [
  { names: ['serve'], load: async () => (await import('./operator/serve.ts')).addServeCommand },
  { names: ['login', 'logout', 'whoami'], load: async () => (await import('./commands/sign-in.ts')).addSignInCommands },
  { names: ['password', 'session'], load: async () => (await import('./commands/account.ts')).addAccountCommands },
  { names: ['domain'], load: async () => (await import('./commands/domain.ts')).addDomainCommands },
  { names: ['user'], load: async () => (await import('./commands/user.ts')).addUserCommands },
  { names: ['group'], load: async () => (await import('./commands/group.ts')).addGroupCommands },
  {
    names: ['service-account'],
    load: async () => (await import('./commands/service-account.ts')).addServiceAccountCommands,
  },
  { names: ['grant'], load: async () => (await import('./commands/grant.ts')).addGrantCommands },
  { names: ['bundle'], load: async () => (await import('./commands/bundle.ts')).addBundleCommands },
  { names: ['secret'], load: async () => (await import('./commands/secret.ts')).addSecretCommands },
  { names: ['integration'], load: async () => (await import('./commands/integration.ts')).addIntegrationCommands },
  { names: ['backend'], load: async () => (await import('./commands/backend.ts')).addBackendCommands },
  { names: ['profile'], load: async () => (await import('./commands/profile.ts')).addProfileCommands },
  { names: ['job'], load: async () => (await import('./commands/job.ts')).addJobCommands },
  { names: ['cluster'], load: async () => (await import('./commands/cluster.ts')).addClusterCommands },
  { names: ['notebook'], load: async () => (await import('./commands/cluster.ts')).addNotebookCommands },
  { names: ['storage'], load: async () => (await import('./commands/storage.ts')).addStorageCommands },
  { names: ['connection'], load: async () => (await import('./commands/connection.ts')).addConnectionCommands },
  { names: ['email'], load: async () => (await import('./commands/platform.ts')).addEmailCommands },
  { names: ['ldap'], load: async () => (await import('./commands/platform.ts')).addLdapCommands },
  { names: ['apply'], load: async () => (await import('./commands/apply.ts')).addApplyCommand },
  { names: ['notice'], load: async () => (await import('./commands/notice.ts')).addNoticeCommands },
  { names: ['drift'], load: async () => (await import('./commands/drift.ts')).addDriftCommands },
  { names: ['placeholders'], load: async () => (await import('./commands/placeholders.ts')).addPlaceholderCommands },
  { names: ['run'], load: async () => (await import('./commands/run.ts')).addRunCommand },
  { names: ['preflight'], load: async () => (await import('./commands/preflight.ts')).addPreflightCommand },
  { names: ['explain'], load: async () => (await import('./commands/explain.ts')).addExplainCommand },
  { names: ['audit'], load: async () => (await import('./commands/audit.ts')).addAuditCommands },
  { names: ['settings'], load: async () => (await import('./commands/settings.ts')).addSettingsCommands },
  { names: ['keys'], load: async () => (await import('./commands/keys.ts')).addKeyCommands },
  { names: ['recovery'], load: async () => (await import('./operator/recovery.ts')).addRecoveryCommands },
  { names: ['backup', 'restore'], load: async () => (await import('./operator/backup.ts')).addBackupCommands },
  { names: ['doctor'], load: async () => (await import('./operator/doctor.ts')).addDoctorCommand },
  { names: ['store'], load: async () => (await import('./operator/store.ts')).addStoreCommands },
  { names: ['k8s'], load: async () => (await import('./operator/k8s.ts')).addK8sCommands },
  { names: ['login-link'], load: async () => (await import('./operator/login-link.ts')).addLoginLinkCommand },
  {
    names: ['completion', completionCommand],
    load: async () => (await import('./commands/completion.ts')).addCompletionCommands,
  },
  { names: ['openapi'], load: async () => (await import('./commands/openapi.ts')).addOpenapiCommand },
];
