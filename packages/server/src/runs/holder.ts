import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isSameProcess, readBootId, startTimeOf } from './process-identity.ts';

/**
 * Who has a run: `HOST PID STARTED NONCE`. Another process of the same boot can tell whether it still lives; a process on
 * another machine goes by its lease.
 */
export interface Holder {
  readonly text: string;
  readonly host: string;
  readonly bootId: string | null;
}

export async function thisHolder(): Promise<Holder> {
  const host = hostname();
  const started = (await startTimeOf(process.pid)) ?? '-';
  return {
    text: [host, process.pid, started, randomBytes(6).toString('hex')].join(' '),
    host,
    bootId: await readBootId(),
  };
}

/**
 * Whether a run's holder is surely gone.
 * @param leaseExpiresAt of the holder; `null`: it never took one
 * @param isOnly no other server shares the database
 */
export async function isHolderGone(
  run: { readonly holder: string | null; readonly boot_id: string | null },
  self: Holder,
  leaseExpiresAt: number | null,
  now: number,
  isOnly: boolean,
): Promise<boolean> {
  if (run.holder === null) return true;
  if (run.holder === self.text) return false;
  const [host, pid = '0', started = '-'] = run.holder.split(' ');
  if (host === self.host && run.boot_id !== null) {
    if (run.boot_id !== self.bootId) return true;
    if (started !== '-') return !(await isSameProcess(Number(pid), started));
  }
  // One database file has one server: whoever held a run before this start is gone.
  return isOnly || (leaseExpiresAt ?? 0) < now;
}
