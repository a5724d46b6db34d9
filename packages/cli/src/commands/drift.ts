import { launchableSurfaces } from '@strongroom/contract/core';
import type { CallResult, ErrorCode } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { UsageError } from '../errors.ts';
import { exitCode, exitCodeOfError } from '../exit-codes.ts';
import { nouns } from './configuration-noun.ts';

interface RedeployOptions extends DomainOption {
  readonly all?: true;
  readonly launch?: readonly string[];
  readonly stopOld?: true;
}

type LaunchableSurface = (typeof launchableSurfaces)[number];
type Item = CallResult<'redeployDrift'>['items'][number];

export function addDriftCommands(program: Command, cli: Cli): void {
  const drift = group(program, 'drift', 'running launches that hold an older version of a secret');
  requireDomain(
    drift
      .command('redeploy [job...]')
      .description(
        'start anew what holds an older version: jobs by name, others as notebook/NAME or cluster/NAME; what has a newer run gets no second one',
      ),
  )
    .option('--all', 'everything that has drifted')
    .option('--launch <id...>', 'what these runs are of')
    .option('--stop-old', 'stop the old runs once the new ones have started')
    .addHelpText(
      'after',
      '\nThe launches of workloads are named, and left alone: only who started them can start them anew.\n`strongroom secret drift --domain NAME --running` lists what holds which version.',
    )
    .action(
      cli.action(async ({ connect, output }, jobs: readonly string[], options: RedeployOptions) => {
        const { domain, all, launch, stopOld } = options;
        if ((all === true) === (jobs.length > 0 || launch !== undefined))
          throw new UsageError('it is --all, or the jobs or launches that are named');
        const configurations = jobs.filter((name) => name.includes('/')).map(readConfiguration);
        const sparkJobs = jobs.filter((name) => !name.includes('/'));
        const found = await (
          await connect()
        ).redeployDrift({
          params: { domain },
          body: {
            ...(sparkJobs.length === 0 ? {} : { sparkJobs }),
            ...(configurations.length === 0 ? {} : { configurations }),
            ...(launch === undefined ? {} : { launches: [...launch] }),
            ...(all === undefined ? {} : { all }),
            ...(stopOld === undefined ? {} : { stopOld }),
          },
        });
        output.answer(found, () => {
          if (found.items.length === 0) output.note('no running launch that you may see holds an older version');
          else printItems(output, found.items);
        });
        if (!found.isComplete) output.note('more has drifted than one call starts; do it again for the rest');
        return codeOf(found.items);
      }),
    );
}

/** `notebook/lab`, and the same by the noun of its commands. @throws UsageError */
function readConfiguration(text: string): { readonly surface: LaunchableSurface; readonly name: string } {
  const [kind = '', ...rest] = text.split('/');
  const surface = launchableSurfaces.find((each) => each === kind || nouns.get(each)?.word === kind);
  if (surface === undefined)
    throw new UsageError(
      `${text} is of no kind that is launched`,
      `Write ${launchableSurfaces.map((each) => `${nouns.get(each)?.word}/NAME`).join(', ')}.`,
    );
  return { surface, name: rest.join('/') };
}

function printItems(output: Cli['output'], items: readonly Item[]): void {
  output.table(
    [{ title: 'JOB' }, { title: 'OUTCOME' }, { title: 'NEW RUN' }, { title: 'OLD' }, { title: '', canWrap: true }],
    items.flatMap((item) => {
      const named = [item.job ?? item.launch ?? '-', item.outcome, item.run ?? '-'];
      if (item.old.length === 0) return [[...named, '-', item.problem?.detail ?? '']];
      return item.old.map((old) => [...named, `${old.launch} ${old.outcome}`, old.problem?.detail ?? '']);
    }),
  );
}

/** Of the first that was refused, be it to start or to stop. */
function codeOf(items: readonly Item[]): number {
  const problem = items.flatMap(({ problem: own, old }) => [own, ...old.map((each) => each.problem)]).find(Boolean);
  if (problem === undefined) return exitCode.done;
  return Object.hasOwn(exitCodeOfError, problem.code) ? exitCodeOfError[problem.code as ErrorCode] : exitCode.fault;
}
