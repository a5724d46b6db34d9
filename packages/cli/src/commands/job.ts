import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { addConfigurationCommands, contentOf, lastFacts, printFields } from './configuration.ts';
import { addApplyCommands } from './configuration-apply.ts';
import { jobNoun } from './configuration-noun.ts';
import { addPreflight, launching } from './preflight.ts';
import { addRunCommands } from './configuration-run.ts';

export function addJobCommands(program: Command, cli: Cli): void {
  const job = group(program, 'job', 'Spark jobs and other commands that run with secrets');
  addApplyCommands(job, cli, jobNoun);
  addConfigurationCommands(job, cli, jobNoun, printJob);
  for (const [verb, suspended] of [
    ['suspend', true],
    ['resume', false],
  ] as const) {
    const summary = suspended ? 'let a job start no run' : 'let a suspended job run again';
    requireDomain(job.command(`${verb} <job>`).description(summary)).action(
      cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
        const changed = await (await connect()).suspendSparkJob({ params: { domain, name }, body: { suspended } });
        output.answer(changed, () => output.line(`job ${name} is ${changed.suspended ? 'suspended' : 'ready'}`));
        return undefined;
      }),
    );
  }
  addRunCommands(job, cli, jobNoun);
  addPreflight(job.command('preflight <job>'), cli, launching(jobNoun));
}

function printJob(output: Cli['output'], job: CallResult<'showSparkJob'>): void {
  output.facts({
    name: job.name,
    domain: job.domain,
    id: job.id,
    description: job.description,
    command: job.command?.join(' '),
    spark: job.spark === undefined ? undefined : (job.spark.mainClass ?? job.spark.mainFile ?? job.spark.jar),
    'working folder': job.workingDirectory,
    runner: job.runner,
    timeout: job.timeoutSeconds === undefined ? undefined : `${job.timeoutSeconds} s`,
    ...lastFacts(job),
  });
  const rows = [
    ...job.environment.map((each) => ['environment', each.name, contentOf(each.value, each.secret)]),
    ...job.sparkConfig.map((each) => ['spark config', each.name, contentOf(each.value, each.secret)]),
    ...job.files.map((each) => [
      'file',
      each.name,
      contentOf(each.content === undefined ? undefined : 'text', each.secret),
    ]),
  ];
  printFields(output, rows);
}
