import { resolve } from 'node:path';
import type { VerifyReport } from '@strongroom/server';
import type { Command } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { CheckFailed, UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import { bad, good } from '../output/output.ts';
import { count, localTime } from '../output/text.ts';
import { collect } from '../values.ts';
import { addConfigOption, type ConfigOptions, loadSettings, type ServerModule, withServer } from './configuration.ts';

interface VerifyOptions extends ConfigOptions {
  readonly dataDir?: string;
  readonly file?: string;
  readonly anchor?: string;
  readonly publicKey?: string;
  readonly outsideAnchor?: readonly string[];
  /** `false`: --no-archive. */
  readonly archive?: readonly string[] | false;
  readonly archiveOnly?: true;
  readonly withKeys?: true;
}

const maxKeyFileBytes = 64 * 1024;

export function addVerifyCommand(audit: Command, cli: Cli): void {
  addConfigOption(
    audit.command('verify').description('check offline that nobody edited, cut or rolled back the record'),
  )
    .option('--data-dir <folder>', 'the data directory; STRONGROOM_DATA_DIR, or ./data, when left out')
    .option('--file <export>', 'an export in JSON Lines, in place of a data directory')
    .option('--anchor <file>', 'with --file: the anchor file, or a copy')
    .option('--public-key <file>', 'trusted public keys; audit.pub of the data directory when left out')
    .option('--outside-anchor <file>', 'anchor lines that were kept elsewhere, may be repeated', collect)
    .option(
      '--archive <folder>',
      'archived segments, read with the rest; may be repeated. When left out: the folder of the settings, if they name one',
      collect,
    )
    .option('--no-archive', 'from the marks of archived segments on, without reading them')
    .option('--archive-only', 'with --archive: the segments by themselves; with a --public-key that you trust')
    .option('--with-keys', "also check each record's MAC, with the server's keyring and key file")
    .addHelpText(
      'after',
      '\nA copy of audit.pub kept elsewhere, and anchor lines kept elsewhere, prove more than those beside the data:\nwho can replace the data directory can replace them, too. With the keys also records are judged that nothing\nsigned covers yet; it reads the keyring where the server has it, and nothing else needs a secret. The exit code is 7 when something is wrong.',
    )
    .action(
      cli.action(async (session, options: VerifyOptions) => {
        const report = await verify(session, options);
        session.output.answer(report, () => printReport(session, report));
        if (!report.ok)
          throw new CheckFailed(
            firstBad(report),
            'Keep the data directory as it is; docs/guides/audit.md says what to do.',
          );
        return undefined;
      }),
    );
}

async function verify(session: Session, options: VerifyOptions): Promise<VerifyReport> {
  const { io } = session;
  const { file, anchor, publicKey, outsideAnchor = [], dataDir } = options;
  const archive = options.archive === false || options.archive === undefined ? [] : options.archive;
  const path = (text: string): string => resolve(io.cwd, text);
  const publicKeyText = publicKey === undefined ? undefined : utf8Text(await readInput(io, publicKey, maxKeyFileBytes));
  const kept = { outsideAnchors: outsideAnchor.map(path), archives: archive.map(path) };
  if (options.archiveOnly === true) {
    if (archive.length === 0) throw new UsageError('--archive-only goes with --archive');
    if (file !== undefined || dataDir !== undefined || anchor !== undefined)
      throw new UsageError('--archive-only goes without --file, --anchor and --data-dir');
    if (publicKeyText === undefined)
      throw new UsageError('an archive is verified with a public key you trust', 'Add --public-key audit.pub.');
    return withServer((server) =>
      withKeys(server, session, options, (keys) => server.verifyArchive({ ...kept, ...keys, publicKeyText })),
    );
  }
  if (file !== undefined) {
    if (publicKeyText === undefined)
      throw new UsageError('an export is verified with a public key you trust', 'Add --public-key audit.pub.');
    if (dataDir !== undefined) throw new UsageError('give one of --file and --data-dir');
    return withServer((server) =>
      withKeys(server, session, options, (keys) =>
        server.verifyExport(path(file), {
          ...kept,
          ...keys,
          publicKeyText,
          ...(anchor === undefined ? {} : { anchorPath: path(anchor) }),
        }),
      ),
    );
  }
  if (anchor !== undefined) throw new UsageError('--anchor goes with --file; the data directory has its own');
  return withServer(async (server) => {
    const { settings, secrets } = loadSettings(server, io, options, dataDir);
    const { auditAnchor, audit } = settings;
    const usesOwnArchive = options.archive !== false && archive.length === 0 && audit.archiveDir !== undefined;
    return withKeys(server, session, options, (keys) =>
      server.verifyDataDirectory(settings.dataDir, {
        ...kept,
        ...(usesOwnArchive ? { archives: [audit.archiveDir] } : {}),
        ...keys,
        ...(auditAnchor.kind === 'file' ? { anchorPath: auditAnchor.path } : {}),
        ...(publicKeyText === undefined ? {} : { publicKeyText }),
        ...(secrets.databaseUrl === undefined ? {} : { databaseUrl: secrets.databaseUrl }),
      }),
    );
  });
}

/** The keyring's keys when they are asked for; else none. */
async function withKeys<Result>(
  server: ServerModule,
  { io }: Session,
  options: VerifyOptions,
  work: (keys: {
    readonly macKeys?: ReadonlyMap<string, Uint8Array>;
    readonly isKeyringComplete?: boolean;
  }) => Promise<Result>,
): Promise<Result> {
  if (options.withKeys !== true) return work({});
  const configuration = loadSettings(server, io, options, options.dataDir);
  return server.withMacKeys(configuration, (macKeys) => work({ macKeys, isKeyringComplete: true }));
}

function printReport({ output }: Session, report: VerifyReport): void {
  output.facts({
    installation: report.installation ?? 'unknown',
    records: `${report.records} in ${count(report.chains, 'chain')}`,
    checkpoints: `${report.checkpoints}`,
    'anchor lines': `${report.anchorLines}`,
    'signed by': report.keyIds.join(', ') || 'nobody',
    macs: report.macs,
  });
  printArchived({ output }, report);
  for (const { chain, sequence, why } of report.bad) {
    output.line(bad(`bad: ${place(chain, sequence)}: ${why}`));
  }
  if (report.badCount > report.bad.length) output.line(`and ${report.badCount - report.bad.length} more`);
  for (const window of report.unprotectedWindow) {
    const from = window.from === null ? 'the beginning' : place(window.from.chain, window.from.sequence);
    const to = window.to === null ? 'the end' : place(window.to.chain, window.to.sequence);
    output.line(`unprotected: from ${from} to ${to}: ${window.why}`);
  }
  for (const restore of report.restores) {
    output.line(`restored from a backup: ${localTime(restore.at)}, epoch ${restore.epoch}, chain ${restore.chain}`);
    for (const lost of restore.lost) output.line(`  lost by it: ${lost.why}`);
  }
  if (report.ok) output.line(good('the record is whole: nothing in it was changed, cut or left out'));
}

function printArchived({ output }: Pick<Session, 'output'>, { archived, archivedCount }: VerifyReport): void {
  if (archivedCount > archived.length) output.line(`archived: ${archivedCount - archived.length} older segments`);
  for (const { segment, records, from, to, sha256, digest, isRead } of archived) {
    const range = `${count(records, 'record')}, ${localTime(from)} to ${localTime(to)}`;
    output.line(
      isRead
        ? `archived: ${segment}: ${range}: read`
        : `archived: ${segment}: ${range}: not read; its file has SHA-256 ${sha256}, its mark ${digest}`,
    );
  }
}

function place(chain: string | null, sequence: number | null): string {
  if (chain === null) return 'the log';
  return sequence === null ? `chain ${chain}` : `chain ${chain} sequence ${sequence}`;
}

function firstBad({ firstBad: first, badCount }: VerifyReport): string {
  if (first === null) return 'the record is not whole';
  const more = badCount > 1 ? `, and ${badCount - 1} more` : '';
  return `the first bad record is ${place(first.chain, first.sequence)}: ${first.why}${more}`;
}
