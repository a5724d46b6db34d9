import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Log } from './log.ts';

/**
 * Makes the process keep its memory to itself: no core file, no diagnostic report (both would hold keys), no inspector by
 * signal, files for its owner alone. What the system doesn't let us do, `doctor` says.
 */
export function hardenProcess(): void {
  process.title = 'strongroom';
  process.umask(0o077);
  const { report } = process;
  report.reportOnFatalError = false;
  report.reportOnSignal = false;
  report.reportOnUncaughtException = false;
  report.excludeEnv = true;
  // A listener takes the place of the one that opens the inspector (`--disable-sigusr1` never installs it).
  if (!isSigusr1Disabled()) process.on('SIGUSR1', () => undefined);
  limitCore();
}

/** Ends the process on what nobody caught, without printing it: Node's own message would quote it. */
export function endOnUncaught(log: Log): void {
  process.on('uncaughtException', (error, origin) => {
    log.error({ error, origin }, 'uncaught error; the process ends');
    process.exit(1);
  });
}

/** Soft limit of core files in bytes as the kernel has it; `null` where it can't be read. */
export function coreLimit(): string | null {
  try {
    return /^Max core file size\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? null;
  } catch {
    return null;
  }
}

export function isSigusr1Disabled(): boolean {
  return process.execArgv.includes('--disable-sigusr1');
}

function limitCore(): void {
  if (process.platform !== 'linux') return;
  // Whatever the limit is: of our memory nothing goes into a core file (core(5)).
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Not every kernel has it; the limit below is what counts.
  }
  const prlimit = ['/usr/bin/prlimit', '/bin/prlimit'].find((path) => existsSync(path));
  if (coreLimit() === '0' || prlimit === undefined) return;
  try {
    execFileSync(prlimit, ['--core=0:0', '--pid', String(process.pid)], { stdio: 'ignore', timeout: 2_000, env: {} });
  } catch {
    // `doctor` shows the limit that is in force.
  }
}
