import { chmod, lstat, mkdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { isRecord, UsageError } from './errors.ts';
import type { Io } from './io.ts';
import { writeAtomically } from './placeholders/replace-file.ts';

/** What `strongroom login` keeps: a session, and whose it is. */
export interface Profile {
  readonly url: string;
  readonly token: string;
  /** RFC 3339 */
  readonly expiresAt: string;
  readonly name: string;
}

/** `$XDG_CONFIG_HOME/strongroom/profile.json` (XDG Base Directory Specification; a relative value is ignored, as it says). */
function profilePath(io: Io): string {
  const configured = io.env['XDG_CONFIG_HOME'] ?? '';
  const base = configured.startsWith('/') ? configured : join(io.env['HOME'] ?? homedir(), '.config');
  return join(base, 'strongroom', 'profile.json');
}

/**
 * Reads the profile; `undefined` when there is none.
 * @param isToBeEnded its session is only ended, which one that others know needs most
 * @throws UsageError when others can read it, or it isn't a profile
 */
export async function readProfile(io: Io, isToBeEnded = false): Promise<Profile | undefined> {
  const path = profilePath(io);
  const stats = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  const again = 'Run strongroom logout, then strongroom login.';
  if (!stats.isFile()) throw new UsageError(`${path} is not a plain file`, again);
  const uid = process.getuid?.();
  if (uid !== undefined && stats.uid !== uid) throw new UsageError(`${path} belongs to another user`, again);
  if (!isToBeEnded && process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
    throw new UsageError(
      `${path} can be read by others, so its session may be known to them`,
      'Run strongroom logout, which ends the session, then strongroom login.',
    );
  }
  const profile = parseProfile(await readFile(path, 'utf8'));
  if (profile === undefined) throw new UsageError(`${path} is not a profile`, again);
  return profile;
}

/** Writes the profile whole or not at all: mode 0600, its folder 0700. */
export async function writeProfile(io: Io, profile: Profile): Promise<void> {
  const path = profilePath(io);
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  await writeAtomically(path, `${JSON.stringify(profile, undefined, 2)}\n`);
}

export async function removeProfile(io: Io): Promise<void> {
  await rm(profilePath(io), { force: true });
}

function parseProfile(text: string): Profile | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The error would quote the token.
    return undefined;
  }
  if (!isRecord(document)) return undefined;
  const { url, token, expiresAt, name } = document;
  const isWhole =
    typeof url === 'string' && typeof token === 'string' && typeof expiresAt === 'string' && typeof name === 'string';
  return isWhole ? { url, token, expiresAt, name } : undefined;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
