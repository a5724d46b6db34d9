import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Settings } from '../config/settings.ts';
import { jobUserPrefix } from '../runs/commands.ts';
import { jobUsersOf } from '../runs/settings.ts';
import type { Store } from '../store/store.ts';
import { amber, type Finding, ok } from './finding.ts';

/** What of the process the answer depends on. */
export interface JobUserParts {
  readonly settings: Pick<Settings, 'runner' | 'runnerUids'>;
  readonly store: Pick<Store, 'db'> | null;
  /** Of the server; `undefined` where the system has none. */
  readonly ownUid: number | undefined;
  /** Which of some user ids the system has a name for. */
  readonly named: (uids: readonly number[]) => Promise<ReadonlySet<number>>;
}

const noJobs = ok('This server starts no jobs on its own machine');
/** User ids that are looked up at once; the others are like them. */
const maxLookedUp = 50;
const lookupMilliseconds = 5_000;

/** Whether jobs have rights of their own. */
export function checkJobUsers({ settings, ownUid }: Pick<JobUserParts, 'settings' | 'ownUid'>): Finding {
  if (settings.runner === 'none') return noJobs;
  if (ownUid !== 0)
    return amber(
      'Not started as root: jobs have the server’s own rights, and can read its key.',
      'Right for one operator on one machine. Otherwise start as root with STRONGROOM_RUNNER_UIDS.',
    );
  const uids = settings.runnerUids;
  return uids === undefined
    ? amber('The default range of user ids is used.', 'Name a range that nothing else uses: STRONGROOM_RUNNER_UIDS.')
    : ok(`User ids ${uids.first} to ${uids.last}`);
}

/**
 * Whether the system has a name for the users that jobs run as. Hadoop signs in as that name before it opens a file system
 * (`UnixLoginModule` of the JDK), and fails without one, saying only that it was given nothing.
 */
export async function checkJobNames({ settings, store, ownUid, named }: JobUserParts): Promise<Finding> {
  if (settings.runner === 'none' || ownUid === undefined) return noJobs;
  const uids = ownUid === 0 ? await jobUids(settings, store) : [ownUid];
  const known = await named(uids);
  const unknown = uids.filter((uid) => !known.has(uid));
  const [first] = unknown;
  if (first === undefined) return ok(`The system has a name for ${idsText(uids)}`);
  return amber(
    `The system has no name for ${idsText(unknown)}: Spark and what else opens a file system of Hadoop fails there (“invalid null input: name”).`,
    `Make a user without shell and home for each id that jobs have: useradd --system --uid ${first} --no-create-home --shell /usr/sbin/nologin job-${first}. Jobs that use nothing of Hadoop need none.`,
  );
}

/** Those that domains have, and the next one. */
async function jobUids(settings: JobUserParts['settings'], store: JobUserParts['store']): Promise<readonly number[]> {
  const range = jobUsersOf(settings);
  const given = new Set(store === null ? [] : await givenUids(store));
  const own = [...given].filter((uid) => uid >= range.firstUid && uid < range.firstUid + range.count);
  let next = range.firstUid;
  while (given.has(next)) next += 1;
  const isLeft = next < range.firstUid + range.count;
  return [...own.slice(0, maxLookedUp), ...(isLeft ? [next] : [])];
}

/** One for each domain that ever ran something here. */
async function givenUids({ db }: Pick<Store, 'db'>): Promise<number[]> {
  const rows = await db
    .selectFrom('settings')
    .select('value')
    .where('key', '>=', jobUserPrefix)
    .where('key', '<', `${jobUserPrefix}~`)
    .orderBy('key')
    .execute();
  return rows.map(({ value }) => Number(value));
}

function idsText(uids: readonly number[]): string {
  return `the user id${uids.length === 1 ? '' : 's'} ${uids.join(', ')}`;
}

/** As every program of the system looks them up: also what a directory service knows (getent(1)). */
export async function namedUids(uids: readonly number[]): Promise<ReadonlySet<number>> {
  const getent = ['/usr/bin/getent', '/bin/getent'].find((path) => existsSync(path));
  const text = getent === undefined ? await readFile('/etc/passwd', 'utf8') : await entries(getent, uids);
  const wanted = new Set(uids);
  return new Set(
    text
      .split('\n')
      .map((line) => line.split(':')[2])
      .filter((uid) => uid !== undefined && uid !== '')
      .map(Number)
      .filter((uid) => wanted.has(uid)),
  );
}

function entries(getent: string, uids: readonly number[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: lookupMilliseconds, env: {} };
    execFile(getent, ['passwd', ...uids.map(String)], options, (error, out) => {
      // 2: some of them are not there.
      if (error === null || error.code === 2) resolve(out);
      else reject(new Error('The list of users can not be read.', { cause: error }));
    });
  });
}
