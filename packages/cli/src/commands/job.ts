import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { addApplyCommands } from './job-apply.ts';
import { addRunCommands } from './job-run.ts';
import { addJobPreflight } from './preflight.ts';

export function addJobCommands(program: Command, cli: Cli): void {
  const job = group(program, 'job', 'Spark jobs and other commands that run with secrets');
  addApplyCommands(job, cli);
  addListOptions(requireDomain(job.command('list').description('list the jobs of a domain'))).action(
    cli.action(async ({ connect, output }, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain }, query };
      const items = await listUpTo(await connect(), output, 'listSparkJobs', input, options.limit);
      output.answer({ items }, () =>
        output.table(
          [
            { title: 'NAME' },
            { title: 'REFERENCES' },
            { title: 'BUNDLE' },
            { title: 'STATE' },
            { title: 'UPDATED' },
            { title: 'BY', canCut: true },
          ],
          items.map((each) => [
            each.name,
            `${each.references}`,
            each.bundle,
            each.suspended ? 'suspended' : 'ready',
            localTime(each.updatedAt),
            each.updatedBy,
          ]),
        ),
      );
      return undefined;
    }),
  );
  requireDomain(job.command('show <job>').description('show a job: plain values and references, no secret')).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      const found = await (await connect()).showSparkJob({ params: { domain, name } });
      output.answer(found, () => printJob(output, found));
      return undefined;
    }),
  );
  requireDomain(job.command('delete <job>').description('delete a job; its runs and their logs stay'))
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, name: string, options: DomainOption & { readonly yes?: true }) => {
        const { domain } = options;
        const client = await connect();
        const { revision } = await client.showSparkJob({ params: { domain, name } });
        if (options.yes !== true) await confirm(io, `delete the job ${name} in ${domain}?`);
        await client.deleteSparkJob({ params: { domain, name }, ifMatch: revision });
        output.answer({ name, deleted: true }, () => output.line(`deleted job ${name} in ${domain}`));
        return undefined;
      }),
    );
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
  addRunCommands(job, cli);
  addJobPreflight(job, cli);
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
    bundle: job.bundle,
    'managed by': job.managedBy,
    state: job.suspended ? 'suspended' : 'ready',
    updated: `${localTime(job.updatedAt)} by ${job.updatedBy}`,
    revision: `${job.revision}`,
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
  if (rows.length > 0) {
    output.line();
    output.table([{ title: 'IN' }, { title: 'NAME' }, { title: 'VALUE', canCut: true }], rows);
  }
  for (const warning of job.warnings) output.note(`${warning.pointer}: ${warning.message}`);
}

interface ReferenceParts {
  readonly scope: string;
  readonly source?: string;
  readonly key: string;
  readonly field?: string;
}

function contentOf(value: string | undefined, secret: ReferenceParts | undefined): string {
  if (secret === undefined) return value ?? '';
  const { scope, source = 'managed', key, field } = secret;
  // For reading: the canonical form, with its percent-encoding, is in --json's parts.
  return `secret://${scope}/${source}/${key}${field === undefined ? '' : `#${field}`}`;
}
