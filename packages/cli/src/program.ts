import { Command } from 'commander';
import { Cli } from './cli.ts';
import { addAccountCommands } from './commands/account.ts';
import { addApplyCommand } from './commands/apply.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addNoticeCommands } from './commands/notice.ts';
import { addOpenapiCommand } from './commands/openapi.ts';
import { addBackendCommands } from './commands/backend.ts';
import { addBundleCommands } from './commands/bundle.ts';
import { addClusterCommands, addNotebookCommands } from './commands/cluster.ts';
import { addCompletionCommands } from './commands/completion.ts';
import { addConnectionCommands } from './commands/connection.ts';
import { addDomainCommands } from './commands/domain.ts';
import { addDriftCommands } from './commands/drift.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addGrantCommands } from './commands/grant.ts';
import { addGroupCommands } from './commands/group.ts';
import { addIntegrationCommands } from './commands/integration.ts';
import { addJobCommands } from './commands/job.ts';
import { addKubernetesClusterCommands } from './commands/kubernetes-cluster.ts';
import { addEmailCommands, addLdapCommands } from './commands/platform.ts';
import { addPlaceholderCommands } from './commands/placeholders.ts';
import { addPreflightCommand } from './commands/preflight.ts';
import { addProfileCommands } from './commands/profile.ts';
import { addRunCommand } from './commands/run.ts';
import { addSecretCommands } from './commands/secret.ts';
import { addServiceAccountCommands } from './commands/service-account.ts';
import { addSettingsCommands } from './commands/settings.ts';
import { addSignInCommands } from './commands/sign-in.ts';
import { addStorageCommands } from './commands/storage.ts';
import { addUserCommands } from './commands/user.ts';
import { reportError } from './error-report.ts';
import { addArchiveCommand } from './operator/audit-archive.ts';
import { addVerifyCommand } from './operator/audit-verify.ts';
import { addBackupCommands } from './operator/backup.ts';
import { addDoctorCommand } from './operator/doctor.ts';
import { addK8sCommands } from './operator/k8s.ts';
import { addLoginLinkCommand } from './operator/login-link.ts';
import { addRecoveryCommands } from './operator/recovery.ts';
import { addServeCommand } from './operator/serve.ts';
import { addStoreCommands } from './operator/store.ts';
import type { Io } from './io.ts';
import { version } from './version.ts';

/** Width of help that isn't shown on a terminal. */
const plainWidth = 100;

/** The whole command tree. Nothing of the server, and no file of it, is loaded for that. */
export function createProgram(cli: Cli): Command {
  const { io } = cli;
  const program = new Command('strongroom')
    .description('One catalogue of secrets for data platforms: configurations hold references, launches get values.')
    .option('--json', 'answer with JSON on stdout')
    .option('-v, --verbose', 'add request ids and places to errors')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print what a command takes')
    .helpCommand('help [command]', 'print what a command takes')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // Errors are reported in one place, error-report.ts.
      outputError: () => undefined,
      getOutHelpWidth: () => (io.stdout.isTTY === true ? (io.stdout.columns ?? plainWidth) : plainWidth),
      getErrHelpWidth: () => plainWidth,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  program.hook('preAction', () => cli.configure(program.opts()));
  addServeCommand(program, cli);
  addSignInCommands(program, cli);
  addAccountCommands(program, cli);
  addDomainCommands(program, cli);
  addUserCommands(program, cli);
  addGroupCommands(program, cli);
  addServiceAccountCommands(program, cli);
  addGrantCommands(program, cli);
  addBundleCommands(program, cli);
  addSecretCommands(program, cli);
  addIntegrationCommands(program, cli);
  addBackendCommands(program, cli);
  addProfileCommands(program, cli);
  addJobCommands(program, cli);
  addClusterCommands(program, cli);
  addNotebookCommands(program, cli);
  addStorageCommands(program, cli);
  addConnectionCommands(program, cli);
  addEmailCommands(program, cli);
  addLdapCommands(program, cli);
  addApplyCommand(program, cli);
  addNoticeCommands(program, cli);
  addDriftCommands(program, cli);
  addPlaceholderCommands(program, cli);
  addRunCommand(program, cli);
  addPreflightCommand(program, cli);
  addExplainCommand(program, cli);
  const audit = addAuditCommands(program, cli);
  addVerifyCommand(audit, cli);
  addArchiveCommand(audit, cli);
  addSettingsCommands(program, cli);
  addKeyCommands(program, cli);
  addRecoveryCommands(program, cli);
  addBackupCommands(program, cli);
  addDoctorCommand(program, cli);
  addStoreCommands(program, cli);
  addKubernetesClusterCommands(addK8sCommands(program, cli), cli);
  addLoginLinkCommand(program, cli);
  addCompletionCommands(program, cli);
  addOpenapiCommand(program, cli);
  return program;
}

/**
 * Runs one command line.
 * @param args without the program's own name
 * @returns the exit code
 */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const cli = new Cli(io);
  // Known before the parser is done, for its own errors.
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  cli.configure({ verbose: own.includes('--verbose') || own.includes('-v') });
  try {
    await createProgram(cli).parseAsync([...args], { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    return reportError(error, cli.output);
  }
}
