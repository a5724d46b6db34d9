import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { Type, type Static } from 'typebox';

/** Name of the manifest in a backup's directory; written last, so a directory without one is no backup. */
export const manifestName = 'manifest.json';

const Manifest = Type.Object(
  {
    format: Type.Literal('strongroom-backup/v1'),
    createdAt: Type.String(),
    installationId: Type.String(),
    epoch: Type.Integer({ minimum: 1 }),
    schemaVersion: Type.Integer({ minimum: 1 }),
    /** Public id of the key-encryption key that opens it. The key itself is not in a backup. */
    kekId: Type.String(),
    /** Where each audit chain of the database ends. */
    auditHeads: Type.Array(
      Type.Object(
        { chain: Type.String(), sequence: Type.Integer(), hash: Type.String() },
        { additionalProperties: false },
      ),
    ),
    files: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' }),
          bytes: Type.Integer({ minimum: 0 }),
          sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

/** What a backup says about itself. Holds no key and no value. */
export type BackupManifest = Static<typeof Manifest>;

/** @throws StrongroomError `state_conflict` when there is no readable manifest of this format */
export async function readManifest(backup: string): Promise<BackupManifest> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(await readFile(join(backup, manifestName), 'utf8'));
  } catch (cause) {
    throw notABackup('there is no readable manifest.json', cause);
  }
  // Loaded when a backup is read: a server that never restores one spares the memory.
  const { Value } = await import('typebox/value');
  if (!Value.Check(Manifest, manifest)) throw notABackup('its manifest is of another format');
  return manifest;
}

/** @throws StrongroomError `state_conflict` naming the first file that is missing or was changed */
export async function verifyFiles(backup: string, manifest: BackupManifest): Promise<void> {
  for (const file of manifest.files) {
    const found = await digestFile(join(backup, file.name)).catch((cause: unknown) => {
      throw notABackup(`${file.name} can't be read`, cause);
    });
    if (found.bytes !== file.bytes || found.sha256 !== file.sha256) {
      throw notABackup(`${file.name} is not the file that was backed up`);
    }
  }
}

/** Size and SHA-256 (lower-case hex) of a file of any size. */
export async function digestFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const data = chunk as Buffer;
    bytes += data.length;
    hash.update(data);
  }
  return { bytes, sha256: hash.digest('hex') };
}

function notABackup(reason: string, cause?: unknown): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: `This is not a whole backup: ${reason}.`,
    hint: 'Use another backup; nothing was changed.',
    ...(cause !== undefined && { cause }),
  });
}
