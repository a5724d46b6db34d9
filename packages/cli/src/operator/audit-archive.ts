import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { count, localTime } from '../output/text.ts';
import { parseTime } from '../time.ts';
import { addConfigOption, type ConfigOptions, loadSettings, withServer } from './configuration.ts';

interface ArchiveOptions extends ConfigOptions {
  readonly before: string;
  readonly to?: string;
}

export function addArchiveCommand(audit: Command, cli: Cli): void {
  addConfigOption(
    audit.command('archive').description('move old records to sealed files; the server is stopped, or on PostgreSQL'),
  )
    .requiredOption('--before <time>', 'records older than this, as 2027-01-31 or RFC 3339', parseTime)
    .option('--to <folder>', 'a folder that is there; STRONGROOM_AUDIT_ARCHIVE_DIR when left out')
    .addHelpText(
      'after',
      '\nThe records are removed from the database once they are in the folder, sealed and read back. Keep the folder:\nthe database then has signed marks alone. A run that was interrupted is completed by the next one. A server that\nruns does the same by itself with STRONGROOM_AUDIT_RETENTION_DAYS.',
    )
    .action(
      cli.action(async ({ io, output }, options: ArchiveOptions) => {
        const before = Date.parse(options.before);
        if (before > Date.now()) throw new UsageError('--before is in the future');
        const segments = await withServer(async (server) => {
          const configuration = loadSettings(server, io, options);
          const { archiveDir } = configuration.settings.audit;
          const directory = options.to === undefined ? archiveDir : resolve(io.cwd, options.to);
          if (directory === undefined)
            throw new UsageError('say where to', 'Add --to FOLDER, or set STRONGROOM_AUDIT_ARCHIVE_DIR.');
          return server.archiveAudit(configuration, { before, directory });
        });
        output.answer({ segments }, () => {
          for (const { segment, records, from, to } of segments)
            output.line(`${segment}: ${count(records, 'record')}, ${localTime(from)} to ${localTime(to)}`);
          output.line(segments.length === 0 ? 'nothing was old enough' : 'these records are now in the archive alone');
        });
        return undefined;
      }),
    );
}
