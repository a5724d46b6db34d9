import { Argument, type Command } from 'commander';
import type { Cli } from '../cli.ts';
import { completionCommand } from '../command-parts.ts';
import { lookUp } from '../completion/lists.ts';
import { completionScripts, type Shell, shells } from '../completion/scripts.ts';
import { findPlace } from '../completion/words.ts';
import { visible } from '../output/text.ts';

export function addCompletionCommands(program: Command, cli: Cli): void {
  program
    .command('completion')
    .description('print a script that lets a shell complete commands, domains and keys')
    .addArgument(new Argument('<shell>', 'which').choices(shells))
    .addHelpText(
      'after',
      '\n  bash: eval "$(strongroom completion bash)" in ~/.bashrc\n  zsh:  eval "$(strongroom completion zsh)" in ~/.zshrc, after compinit\n  fish: strongroom completion fish | source in ~/.config/fish/config.fish',
    )
    .action(
      cli.action(async ({ io }, shell: Shell) => {
        io.stdout.write(completionScripts[shell]);
        return undefined;
      }),
    );
  program
    .command(completionCommand, { hidden: true })
    .argument('[words...]')
    .action(
      cli.action(async ({ io }, words: string[]) => {
        const typed = words.at(-1) ?? '';
        const place = findPlace(program, words);
        const found = place.kind === 'words' ? place.candidates : await lookUp(io, place.what, typed, place.options);
        // A tab, as shells expect it, between a word and what it means.
        for (const { word, summary } of found) io.stdout.write(`${word}\t${visible(summary)}\n`);
        return undefined;
      }),
    );
}
