import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { Cli } from './cli.ts';
import { commandParts } from './command-parts.ts';
import { createProgram, partsFor, runCommandLine } from './program.ts';
import { scriptIo } from './testing/script-io.ts';

const world = () => scriptIo({ env: {}, cwd: '/' });

/** What --help prints of a command and of the first that it has. */
function help(command: Command): string[] {
  const [first] = command.commands;
  return [command, ...(first === undefined ? [] : [first])].map((each) => each.helpInformation());
}

it('builds a command alone as it builds it among all', async () => {
  const cli = new Cli(world());
  const all = await createProgram(cli);
  for (const part of commandParts) {
    const { commands } = await createProgram(cli, [part]);
    expect(commands.map((command) => command.name())).toEqual(part.names);
    for (const command of commands) {
      const same = all.commands.find((each) => each.name() === command.name());
      expect(same === undefined ? [] : help(same)).toEqual(help(command));
    }
  }
});

it.each([
  ['a command', ['secret', 'list', '--json'], ['secret']],
  ['a command after global options', ['--json', '-v', 'secret', 'list'], ['secret']],
  ['a command that is told another', ['run', '--', 'strongroom', 'secret'], ['run']],
  ['the version', ['--version'], []],
  ['a completion', ['__complete', '--', 'secret', 'ro'], ['completion', '__complete', 'secret']],
])('builds no more than is called: %s', (_what, args, names) => {
  expect(partsFor(args).flatMap((part) => part.names)).toEqual(names);
});

it.each([
  ['nothing', []],
  ['help', ['help', 'secret']],
  ['an unknown command', ['secrets']],
  ['an unknown option', ['--odd', 'secret']],
  ['the version and more', ['--version', 'secret']],
  ['a completion of the first word', ['__complete', '--', 'sec']],
  ['a completion of itself', ['__complete', '--', 'completion', 'ba']],
  ['a completion without words', ['__complete']],
])('builds all to say what there is: %s', (_what, args) => {
  expect(partsFor(args)).toEqual(commandParts);
});

it('says what was meant by a word that is none', async () => {
  const io = world();
  expect(await runCommandLine(['secre'], io)).toBe(2);
  expect(io.stderr.text).toContain('did you mean secret?');
});
