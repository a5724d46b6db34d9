import { type CallResult, type Client, StrongroomError } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { type Manifest, readManifests } from '../manifest.ts';

type SparkJob = CallResult<'showSparkJob'>;

interface FileOptions {
  readonly file: string;
  readonly domain?: string;
}

export function addApplyCommands(job: Command, cli: Cli): void {
  const fromFile = (command: Command): Command =>
    command
      .requiredOption('-f, --file <file>', 'the manifest, YAML or JSON (- is stdin)')
      .option('-d, --domain <domain>', 'the domain, when the manifest names none');
  fromFile(job.command('apply').description('create or change jobs as a manifest says'))
    .addHelpText(
      'after',
      '\nA manifest is the object of the API with kind: spark-job and domain. In files, fromFile takes the\ncontent of a file beside the manifest; a relative workingDirectory is beside the manifest, too.',
    )
    .action(
      cli.action(async ({ io, connect, output }, options: FileOptions) => {
        const client = await connect();
        for (const manifest of await readManifests(io, options.file, options.domain)) {
          const { outcome, job: applied } = await apply(client, manifest);
          output.item({ outcome, job: applied }, () =>
            output.line(`${outcome} job ${applied.name} in ${applied.domain}, revision ${applied.revision}`),
          );
          for (const warning of applied.warnings) output.note(`${warning.pointer}: ${warning.message}`);
        }
        return undefined;
      }),
    );
  fromFile(job.command('create').description('create jobs as a manifest says; refused when one exists')).action(
    cli.action(async ({ io, connect, output }, options: FileOptions) => {
      const client = await connect();
      for (const { domain, body } of await readManifests(io, options.file, options.domain)) {
        const created = await client.createSparkJob({ params: { domain }, body });
        output.item({ outcome: 'created', job: created }, () =>
          output.line(`created job ${created.name} in ${created.domain}, revision ${created.revision}`),
        );
        for (const warning of created.warnings) output.note(`${warning.pointer}: ${warning.message}`);
      }
      return undefined;
    }),
  );
}

interface Applied {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  readonly job: SparkJob;
}

/** Somebody else's change in between is a `revision_mismatch`, never overwritten. */
async function apply(client: Client, { domain, name, body }: Manifest): Promise<Applied> {
  const before = await client.showSparkJob({ params: { domain, name } }).catch((error: unknown) => {
    if (error instanceof StrongroomError && error.code === 'not_found') return undefined;
    throw error;
  });
  if (before === undefined)
    return { outcome: 'created', job: await client.createSparkJob({ params: { domain }, body }) };
  const after = await client.updateSparkJob({ params: { domain, name }, body, ifMatch: before.revision });
  return { outcome: after.revision === before.revision ? 'unchanged' : 'changed', job: after };
}
