import { open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CallInput, Client, ItemOf } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { type Cli, group, type Session } from '../cli.ts';
import { Cancelled, UsageError } from '../errors.ts';
import { parseCount } from '../lists.ts';
import { addArchiveCommand } from '../operator/audit-archive.ts';
import { addVerifyCommand } from '../operator/audit-verify.ts';
import { localTime } from '../output/text.ts';
import { layTable } from '../output/table.ts';
import { parseTime } from '../time.ts';
import { AuditFollower } from './audit-follow.ts';

type AuditRecord = ItemOf<'listAuditRecords'>;

interface FilterOptions {
  readonly domain?: string;
  readonly scope?: string;
  readonly principal?: string;
  readonly action?: string;
  readonly outcome?: 'allowed' | 'denied' | 'failed';
  readonly from?: string;
  readonly to?: string;
}

function addFilterOptions(command: Command): Command {
  return command
    .option('--principal <who>', 'only by this principal, name or id')
    .option('--action <action>', 'only this action, like secret.manage')
    .addOption(new Option('--outcome <outcome>', 'only with this outcome').choices(['allowed', 'denied', 'failed']))
    .option('--from <time>', 'not before, as 2027-01-31 or RFC 3339', parseTime)
    .option('--to <time>', 'before', parseTime);
}

/** What asks the server, and what an operator asks the files. */
export function addAuditCommands(program: Command, cli: Cli): void {
  const audit = group(program, 'audit', 'the record of who did what, and the proof that nobody edited it');
  addTailCommand(audit, cli);
  addExportCommand(audit, cli);
  addSegmentsCommand(audit, cli);
  audit
    .command('anchor')
    .description('print the newest signed statement and the public key; kept elsewhere, they show a rolled-back log')
    .action(
      cli.action(async ({ connect, output }) => {
        const anchor = await (await connect()).showAuditAnchor();
        output.answer(anchor, () => {
          output.facts({
            installation: anchor.installation,
            'public key': anchor.publicKey,
            'key id': anchor.keyId,
            checkpoint:
              anchor.checkpoint === null ? 'none yet' : `${anchor.checkpoint.id}, ${localTime(anchor.checkpoint.at)}`,
          });
          for (const line of anchor.lines) output.line(line);
        });
        return undefined;
      }),
    );
  addVerifyCommand(audit, cli);
  addArchiveCommand(audit, cli);
}

interface TailOptions extends FilterOptions {
  readonly limit: number;
  readonly follow?: true;
}

function addTailCommand(audit: Command, cli: Cli): void {
  addFilterOptions(audit.command('tail').description('print the newest records, oldest of them first'))
    .option('-d, --domain <domain>', 'of this domain, as its owners see it')
    .option('--scope <scope>', 'of admin, global or a domain, as auditors see it')
    .option('--limit <n>', 'how many', parseCount, 20)
    .option('-f, --follow', 'go on with new ones until Ctrl-C')
    .action(
      cli.action(async (session, options: TailOptions) => {
        if (options.domain !== undefined && options.scope !== undefined)
          throw new UsageError('give one of --domain and --scope');
        const client = await session.connect();
        const walked: AuditRecord[] = [];
        for await (const record of recordsOf(client, options, options.limit)) {
          const isEnough = options.follow !== true || AuditFollower.isBehind(record, walked);
          if (walked.length >= options.limit && isEnough) break;
          walked.push(record);
        }
        print(session, walked.slice(0, options.limit).toReversed());
        if (walked.length < options.limit) await noteArchived(session, client, options);
        if (options.follow === true) await follow(session, client, options, new AuditFollower(walked));
        return undefined;
      }),
    );
}

/** Says when records of the time asked for are not in the database any more. */
async function noteArchived(
  { output }: Pick<Session, 'output'>,
  client: Client,
  { domain, from, to }: FilterOptions,
): Promise<void> {
  const query = { limit: 1, ...filters({ ...(from && { from }), ...(to && { to }) }) };
  const { archived } =
    domain === undefined
      ? await client.listAuditRecords({ query })
      : await client.listDomainAuditRecords({ params: { domain }, query });
  if (archived !== undefined)
    output.note(`records from ${localTime(archived.from)} to ${localTime(archived.to)} are in the archive`);
}

const followMilliseconds = 1000;

async function follow(session: Session, client: Client, options: TailOptions, follower: AuditFollower): Promise<void> {
  const stop = new AbortController();
  const unlisten = session.io.onSignal(() => stop.abort(new Cancelled('interrupted')));
  try {
    for (;;) {
      await pause(followMilliseconds, undefined, { signal: stop.signal });
      const from = follower.since(options.from);
      const window: AuditRecord[] = [];
      for await (const record of recordsOf(client, { ...options, ...(from && { from }) }, 200)) window.push(record);
      print(session, follower.take(window));
    }
  } catch (error) {
    if (stop.signal.aborted) throw new Cancelled('interrupted');
    throw error;
  } finally {
    unlisten();
  }
}

/** Newest first. */
function recordsOf(client: Client, options: TailOptions, atOnce: number): AsyncIterable<AuditRecord> {
  const { domain, scope } = options;
  const query = { ...filters(options), limit: Math.min(atOnce, 200) };
  return domain === undefined
    ? client.items('listAuditRecords', { query: { ...query, ...(scope === undefined ? {} : { scope }) } })
    : client.items('listDomainAuditRecords', { params: { domain }, query });
}

function filters({ principal, action, outcome, from, to }: FilterOptions) {
  return {
    ...(principal === undefined ? {} : { principal }),
    ...(action === undefined ? {} : { action }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

function print({ output }: Session, records: readonly AuditRecord[]): void {
  for (const record of records) {
    output.item(record, () => {
      const columns = [localTime(record.at), record.outcome, record.action, record.principal.name, describe(record)];
      // Lines come one by one, so their widths are guessed.
      const widths = [16, 7, 22, 24, 0];
      const cells = columns.map((cell, index) => cell.padEnd(widths[index] ?? 0));
      const { body } = layTable(
        cells.map((title) => ({ title })),
        [cells],
      );
      output.line(body[0] ?? '');
    });
  }
}

function describe(record: AuditRecord): string {
  const parts = [
    record.object === undefined ? undefined : `${record.object.type} ${record.object.name}`,
    record.reference,
    record.version === undefined ? undefined : `version ${record.version}`,
    record.scope === undefined ? undefined : `in ${record.scope.name}`,
    record.because === undefined || record.because.length === 0 ? undefined : `(${record.because.join(', ')})`,
    record.unreadable === true ? 'UNREADABLE: strongroom audit verify' : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(' ');
}

interface ExportOptions extends FilterOptions {
  readonly output?: string;
  readonly format: 'jsonl' | 'csv';
}

function addExportCommand(audit: Command, cli: Cli): void {
  addFilterOptions(audit.command('export').description('export the log: JSON Lines to verify offline, CSV to read'))
    .option('-o, --output <file>', 'a new file; stdout when left out')
    .addOption(
      new Option('--format <format>', 'jsonl is always whole; csv takes filters')
        .choices(['jsonl', 'csv'])
        .default('jsonl'),
    )
    .option('--scope <scope>', 'of admin, global or a domain; with csv')
    .action(
      cli.action(async ({ io, connect, output }, options: ExportOptions) => {
        const { format, scope, output: path } = options;
        const chosen = { ...filters(options), ...(scope === undefined ? {} : { scope }) };
        if (format === 'jsonl' && Object.keys(chosen).length > 0) {
          throw new UsageError(
            'JSON Lines are exported whole, so that they can be verified',
            'Use --format csv with filters.',
          );
        }
        const query: CallInput<'exportAuditRecords'>['query'] = { format, ...chosen };
        const client = await connect();
        if (format === 'csv') await noteArchived({ output }, client, options);
        const exported = await client.exportAuditRecords({ query, timeoutMilliseconds: 120_000 });
        if (path === undefined) {
          for await (const chunk of exported.chunks) await output.bytes(chunk);
          return undefined;
        }
        const bytes = await writeNew(resolve(io.cwd, path), exported.chunks);
        output.answer({ file: path, bytes }, () => output.line(`wrote ${bytes} bytes to ${path}`));
        return undefined;
      }),
    );
}

/** Whole, or not there. */
async function writeNew(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'wx', 0o600).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new UsageError(`${path} can't be made (${code})`, 'It has to be a new file.');
  });
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    return bytes;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function addSegmentsCommand(audit: Command, cli: Cli): void {
  audit
    .command('segments')
    .description('list what of the record went to the archive, with the digests of its files')
    .action(
      cli.action(async ({ connect, output }) => {
        const client = await connect();
        let isEmpty = true;
        for await (const item of client.items('listAuditSegments', { query: { limit: 200 } })) {
          isEmpty = false;
          const { segment, records, from, to, sha256 } = item;
          output.item(item, () => {
            if (segment === undefined || from === undefined || to === undefined)
              output.line(`segment ${item.number}: its mark is UNREADABLE: strongroom audit verify`);
            else output.line(`${segment}: ${localTime(from)} to ${localTime(to)}, ${records} records, ${sha256}`);
          });
        }
        if (isEmpty) output.note('nothing went to the archive yet');
        return undefined;
      }),
    );
}
