import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { Cli } from './cli.ts';
import { exitCode } from './exit-codes.ts';
import type { Io } from './io.ts';
import { createProgram } from './program.ts';

const exitCodeWords: Readonly<Record<keyof typeof exitCode, string>> = {
  done: 'done',
  fault: 'a fault of ours or of the server; a run that failed',
  usage: 'wrong usage; nothing was sent, or the server refused the request as not valid',
  signedOut: 'not signed in',
  refused: 'not found, or not allowed',
  conflict: 'a conflict with the current state: it exists, it is in use, it was changed meanwhile',
  unresolved: 'a reference did not resolve; nothing was started',
  check: 'refused by a check: preflight, audit verify, doctor',
};

/** The reference page of the command line, from the command tree itself. */
export async function cliReference(): Promise<string> {
  const program = await createProgram(new Cli(silentIo()));
  const codes = Object.entries(exitCode).map(
    ([name, code]) => `| ${code} | ${exitCodeWords[name as keyof typeof exitCode]} |`,
  );
  return `# Command line

<!-- Generated from the command tree by scripts/generate.ts. Do not edit. -->

How to use it is in [the guide](../guides/command-line.md). Every command takes \`--json\`, \`--verbose\` and \`--help\`.

## Exit codes

| code | means |
| --- | --- |
${codes.join('\n')}

\`strongroom run\` passes its command's own code on, 128 + n when signal n ended it. Ctrl-C ends a command with 130.

## Environment

| variable | means |
| --- | --- |
| \`STRONGROOM_URL\` | the server; else the one signed in to, else \`http://127.0.0.1:8480\`. https, or http to loopback |
| \`STRONGROOM_TOKEN\` | a service account's or workload's token; wins over a session |
| \`STRONGROOM_TOKEN_FILE\` | a file that holds it, read for each command |
| \`XDG_CONFIG_HOME\` | where \`strongroom/profile.json\` keeps the session, mode 0600; \`~/.config\` when unset |
| \`NO_COLOR\` | when not empty: no colour |

Commands on the server's own machine (\`serve\`, \`audit verify\`, \`backup\`, \`restore\`, \`recovery\`, \`doctor --offline\`,
\`login-link\`) take the server's settings, see [configuration](configuration.md).

## Commands

${sections(program).join('\n\n')}
`;
}

function sections(command: Command): string[] {
  const help = command.createHelp();
  return help
    .visibleCommands(command)
    .flatMap((each) => (each.name() === 'help' ? [] : [section(each), ...sections(each)]));
}

function section(command: Command): string {
  const names: string[] = [];
  for (let each: Command | null = command; each !== null; each = each.parent) names.unshift(each.name());
  return `### ${names.join(' ')}\n\n\`\`\`\n${fullHelp(command).trimEnd()}\n\`\`\``;
}

/** What --help prints, with the texts before and after. */
function fullHelp(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (piece) => (text += piece) });
  command.outputHelp();
  // The same three global options stand under every command; once is enough for a page.
  return text.replace(/\nGlobal Options:\n(?: {2}.*\n)+/, '');
}

function silentIo(): Io {
  return {
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    env: {},
    cwd: '/',
    now: () => 0,
    onSignal: () => () => undefined,
    sharesStdin: false,
  };
}
