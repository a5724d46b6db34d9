import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { CheckFailed } from '../errors.ts';
import { count, visible } from '../output/text.ts';
import { jobNoun, type LaunchNoun } from './configuration-noun.ts';

const summary = 'resolve as a launch would, throw the values away, say what each reference gave';
const codes = '\nThe exit code is 0 when a launch would go through, and 7 when it would not.';

/** `strongroom preflight JOB`: the same for scripts that know nothing but the name. */
export function addPreflightCommand(program: Command, cli: Cli): void {
  addPreflight(program.command('preflight <job>'), cli, jobNoun);
}

/** Preflight of one kind of configurations. */
export function addPreflight(command: Command, cli: Cli, { launch }: LaunchNoun): void {
  requireDomain(command.description(summary))
    .addHelpText('after', codes)
    .action(
      cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
        const found = await launch.preflight(await connect(), domain, name);
        output.answer(found, () => printPreflight(output, found));
        if (!found.ok) {
          const bad = found.references.filter(({ outcome }) => outcome !== 'resolved' && outcome !== 'withheld').length;
          const parts = [
            ...(bad > 0 ? [`${count(bad, 'reference does', 'references do')} not resolve`] : []),
            ...(found.problems.length > 0 ? [count(found.problems.length, 'other problem')] : []),
          ];
          throw new CheckFailed(`${name} would not launch: ${parts.join(', ')}`);
        }
        output.note(`${name} would launch`);
        return undefined;
      }),
    );
}

function printPreflight(output: Cli['output'], found: CallResult<'preflightSparkJob'>): void {
  output.table(
    [
      { title: 'NAME' },
      { title: 'REFERENCE', canCut: true },
      { title: 'SOURCE' },
      { title: 'VERSION' },
      { title: 'OUTCOME' },
      { title: 'CAUSE', canCut: true },
      { title: 'CAN BE FIXED BY', canCut: true },
    ],
    found.references.map((each) => [
      each.name,
      each.reference,
      each.source,
      each.version ?? '-',
      each.outcome,
      each.cause ?? '',
      (each.fixableBy ?? []).join(', '),
    ]),
  );
  for (const problem of found.problems) output.line(visible(problem));
}
