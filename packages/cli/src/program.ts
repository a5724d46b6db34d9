import { ServerError } from '@strongroom/sdk';
import { Command } from 'commander';
import { Cli } from './cli.ts';
import { type CommandPart, commandParts, completionCommand } from './command-parts.ts';
import { reportError } from './error-report.ts';
import type { Io } from './io.ts';
import { version } from './version.ts';

/** Width of help that isn't shown on a terminal. */
const plainWidth = 100;

/**
 * The command tree, of all parts or of some. Nothing of the server, and no file of it, is loaded for that.
 * @param parts those that are wanted; a part that isn't costs nothing
 */
export async function createProgram(cli: Cli, parts: readonly CommandPart[] = commandParts): Promise<Command> {
  // Loaded together, added in their order, which is the one of the help.
  const added = await Promise.all(parts.map(async ({ load }) => load()));
  const program = createRoot(cli);
  for (const add of added) add(program, cli);
  return program;
}

function createRoot(cli: Cli): Command {
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
  return program;
}

/**
 * What a command line needs of the tree: the part of the command that it begins with. Help and what is wrong need all of
 * it, to say what there is.
 */
export function partsFor(args: readonly string[]): readonly CommandPart[] {
  if (args.length === 1 && isVersionOption(args[0])) return [];
  const part = partOf(args);
  if (part === undefined) return commandParts;
  if (!part.names.includes(completionCommand)) return [part];
  // An unfinished line, which may be at its first word.
  const completed = partOf(args.slice(args.indexOf('--') + 1, -1));
  return completed === undefined || completed === part ? commandParts : [part, completed];
}

function partOf(args: readonly string[]): CommandPart | undefined {
  const command = args.find((arg) => !isGlobalOption(arg));
  return commandParts.find(({ names }) => names.some((name) => name === command));
}

function isVersionOption(arg: string | undefined): boolean {
  return arg === '-V' || arg === '--version';
}

/** The ones that take nothing; before the command. */
function isGlobalOption(arg: string): boolean {
  return arg === '--json' || arg === '-v' || arg === '--verbose';
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
    const program = await createProgram(cli, partsFor(args));
    await program.parseAsync([...args], { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    return reportError(await withReason(error, io), cli.output);
  }
}

/** Whose token was not taken, loaded for that alone. */
async function withReason(error: unknown, io: Io): Promise<unknown> {
  if (!(error instanceof ServerError) || error.code !== 'unauthenticated') return error;
  const { withTokenSource } = await import('./connection.ts');
  return withTokenSource(error, io);
}
