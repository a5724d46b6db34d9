import type { CallResult, Client } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { CheckFailed } from '../errors.ts';
import { count } from '../output/text.ts';
import { jobNoun, type LaunchNoun } from './configuration-noun.ts';

type Found = CallResult<'preflightSparkJob'>;

const summary = 'throw the values away, say what each reference gave';
const codes = '\nThe exit code is 0 when it would go through, and 7 when it would not.';

/** How the API tries whether a configuration gets what it refers to, and what it would do with it. */
interface Preflight {
  readonly preflight: (client: Client, domain: string, name: string) => Promise<Found>;
  /** `launch`: job NAME would launch. */
  readonly verb: string;
}

/** `strongroom preflight JOB`: the same for scripts that know nothing but the name. */
export function addPreflightCommand(program: Command, cli: Cli): void {
  addPreflight(program.command('preflight <job>'), cli, launching(jobNoun));
}

export function launching({ launch }: LaunchNoun): Preflight {
  return { preflight: launch.preflight, verb: 'launch' };
}

/** Preflight of one kind of configurations. */
export function addPreflight(command: Command, cli: Cli, { preflight, verb }: Preflight): void {
  requireDomain(command.description(`resolve as its ${verb === 'launch' ? verb : 'use'} would, ${summary}`))
    .addHelpText('after', codes)
    .action(
      cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) =>
        said(output, name, verb, await preflight(await connect(), domain, name)),
      ),
    );
}

/** Of a configuration of the platform, of which there is one. */
export function addPlatformPreflight(
  command: Command,
  cli: Cli,
  { name, preflight }: { readonly name: string; readonly preflight: (client: Client) => Promise<Found> },
): void {
  command
    .command('preflight')
    .description(`resolve as the server would, ${summary}`)
    .addHelpText('after', codes)
    .action(
      cli.action(async ({ connect, output }) => said(output, name, 'be usable', await preflight(await connect()))),
    );
}

/** @throws CheckFailed when it would not go through */
function said(output: Cli['output'], name: string, verb: string, found: Found): undefined {
  output.answer(found, () => printPreflight(output, found));
  if (!found.ok) {
    const bad = found.references.filter(({ outcome }) => outcome !== 'resolved' && outcome !== 'withheld').length;
    const parts = [
      ...(bad > 0 ? [`${count(bad, 'reference does', 'references do')} not resolve`] : []),
      ...(found.problems.length > 0 ? [count(found.problems.length, 'other problem')] : []),
    ];
    throw new CheckFailed(`${name} would not ${verb}: ${parts.join(', ')}`);
  }
  output.note(`${name} would ${verb}`);
  return undefined;
}

function printPreflight(output: Cli['output'], found: Found): void {
  output.list(
    'it refers to no secret',
    [
      { title: 'NAME' },
      { title: 'REFERENCE', canWrap: true },
      { title: 'SOURCE' },
      { title: 'VERSION' },
      { title: 'OUTCOME' },
      { title: 'CAUSE', canWrap: true, isOptional: true },
      { title: 'CAN BE FIXED BY', canWrap: true, isOptional: true },
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
  for (const problem of found.problems) output.line(problem);
}
