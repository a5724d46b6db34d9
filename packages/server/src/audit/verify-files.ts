import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CryptoError, decodePublicKeyText } from '@strongroom/crypto';
import { StrongroomError } from '@strongroom/contract';
import { dataFiles } from '../store/data-directory.ts';
import { anchorFiles } from './anchor.ts';
import { readLines } from './lines.ts';
import { publicKeyFile } from './public-key-file.ts';
import type { AnchorInput } from './source.ts';
import { openExportSource } from './source-export.ts';
import { openPostgresSource } from './source-postgres.ts';
import { openSqliteSource } from './source-sqlite.ts';
import { verifyAudit, type VerifyOptions } from './verify.ts';
import type { VerifyReport } from './verify-report.ts';

/** An anchor line is far below; longer lines are no anchor lines. */
const maxAnchorLineBytes = 4096;

export interface VerifyFilesOptions {
  /** Text of the trusted public keys, one a line; default: `audit.pub` beside the anchor, which is as safe as its directory. */
  readonly publicKeyText?: string;
  /** Files with anchor lines that were kept elsewhere: a collected standard output, an older copy, saved API answers. */
  readonly outsideAnchors?: readonly string[];
  /** Directories of the archive; without any, what is archived is reported and not read. */
  readonly archives?: readonly string[];
  /** By term id. */
  readonly macKeys?: ReadonlyMap<string, Uint8Array>;
  /** They are the whole keyring's; a chain with a key of its own is then a finding. */
  readonly isKeyringComplete?: boolean;
}

/**
 * Verifies the log of a data directory, also while its server runs. With `databaseUrl` the records are in PostgreSQL and
 * the directory holds this replica's anchor only.
 *
 * @param options.anchorPath the anchor file, when the server was told to keep it elsewhere than in the data directory
 * @throws StrongroomError `validation_failed` when no public key is found or it is malformed; errors of the file system and
 * of the database when something cannot be read
 */
export async function verifyDataDirectory(
  directory: string,
  options: VerifyFilesOptions & { readonly databaseUrl?: string; readonly anchorPath?: string } = {},
): Promise<VerifyReport> {
  const files = dataFiles(directory);
  const { databaseUrl, anchorPath = files.anchor } = options;
  return verifyAudit({
    openSource: () => (databaseUrl === undefined ? openSqliteSource(files.database) : openPostgresSource(databaseUrl)),
    anchors: [anchorOf(anchorPath, true), ...outsideOf(options)],
    publicKeys: await readPublicKeys(options.publicKeyText, publicKeyFile(anchorPath)),
    ...givenOf(options),
    isAnchorComplete: databaseUrl === undefined,
  });
}

/**
 * Verifies an exported JSON Lines file, anywhere.
 *
 * @param anchorPath the anchor file that lay beside the database, or a copy of it
 * @throws as `verifyDataDirectory`
 */
export async function verifyExport(
  exportPath: string,
  options: VerifyFilesOptions & { readonly publicKeyText: string; readonly anchorPath?: string },
): Promise<VerifyReport> {
  const { anchorPath } = options;
  return verifyAudit({
    openSource: () => openExportSource(exportPath),
    anchors: [...(anchorPath === undefined ? [] : [anchorOf(anchorPath, true)]), ...outsideOf(options)],
    publicKeys: await readPublicKeys(options.publicKeyText, ''),
    ...givenOf(options),
    isAnchorComplete: false,
  });
}

/**
 * Verifies the archive by itself: its segments, that each follows the one before, and all records in them.
 *
 * @throws as `verifyDataDirectory`
 */
export async function verifyArchive(
  options: VerifyFilesOptions & { readonly publicKeyText: string; readonly archives: readonly string[] },
): Promise<VerifyReport> {
  return verifyAudit({
    openSource: null,
    anchors: outsideOf(options),
    publicKeys: await readPublicKeys(options.publicKeyText, ''),
    ...givenOf(options),
    isAnchorComplete: false,
  });
}

function givenOf({
  archives,
  macKeys,
  isKeyringComplete,
}: VerifyFilesOptions): Pick<VerifyOptions, 'archives' | 'macKeys' | 'isKeyringComplete'> {
  return {
    ...(archives !== undefined && { archives }),
    ...(macKeys !== undefined && { macKeys }),
    ...(isKeyringComplete !== undefined && { isKeyringComplete }),
  };
}

function outsideOf(options: VerifyFilesOptions): AnchorInput[] {
  return (options.outsideAnchors ?? []).map((path) => anchorOf(path, false));
}

function anchorOf(path: string, isBesideDatabase: boolean): AnchorInput {
  return {
    name: path,
    isBesideDatabase,
    async *lines() {
      const files = isBesideDatabase ? anchorFiles(path) : [path];
      for (const file of files) {
        for await (const line of readLines(file, maxAnchorLineBytes)) yield line.toString('utf8');
      }
    },
  };
}

async function readPublicKeys(text: string | undefined, path: string): Promise<Uint8Array[]> {
  const refuse = (detail: string, cause?: unknown): StrongroomError =>
    new StrongroomError('validation_failed', {
      detail,
      hint: 'Give the text of audit.pub, one key a line, each beginning with strongroom-audit-v1:',
      cause,
    });
  if (text === undefined && !existsSync(path))
    throw new StrongroomError('validation_failed', {
      detail: `There is no public key: ${path} does not exist.`,
      hint: 'Say where the data directory of the server is with --data-dir, or give its audit.pub with --public-key.',
    });
  const lines = (text ?? (await readFile(path, 'utf8'))).split(/\s+/).filter((line) => line !== '');
  if (lines.length === 0) throw refuse('No public key was given.');
  return lines.map((line) => {
    try {
      return decodePublicKeyText(line);
    } catch (error) {
      if (error instanceof CryptoError) throw refuse('A public key is malformed.', error);
      throw error;
    }
  });
}
