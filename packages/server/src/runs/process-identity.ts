import { readdir, readFile } from 'node:fs/promises';

/** The variable that every child of a run has; by it and by (boot id, pid, start time) an orphan is known. */
export const runVariable = 'STRONGROOM_RUN_ID';

/** This start of the machine; `null` where there is no `/proc`. */
export async function readBootId(): Promise<string | null> {
  return (await readProc('/proc/sys/kernel/random/boot_id'))?.toString('latin1').trim() ?? null;
}

/** When a process started, in clock ticks since boot (proc(5), field 22): with the pid it names one process for ever. */
export async function startTimeOf(pid: number): Promise<string | null> {
  const stat = (await readProc(`/proc/${pid}/stat`))?.toString('latin1');
  // The command in parentheses may hold anything, also parentheses and blanks.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

/** Whether the process still is the one that started then. */
export async function isSameProcess(pid: number, startTime: string): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime;
}

/** Processes whose environment began with the run's id, whatever group or session they went to; without `/proc` none. */
export async function processesOf(runIds: ReadonlySet<string>): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  const prefix = Buffer.from(`${runVariable}=`);
  for (const entry of await listProcesses()) {
    const pid = Number(entry);
    const environment = await readProc(`/proc/${entry}/environ`);
    if (environment === null) continue;
    const runId = markOf(environment, prefix);
    if (runId !== undefined && runIds.has(runId)) found.set(runId, [...(found.get(runId) ?? []), pid]);
    // Other people's environments are none of our business, and may hold values.
    environment.fill(0);
  }
  return found;
}

function markOf(environment: Buffer, prefix: Buffer): string | undefined {
  for (let at = environment.indexOf(prefix); at !== -1; at = environment.indexOf(prefix, at + 1)) {
    if (at !== 0 && environment[at - 1] !== 0) continue;
    const end = environment.indexOf(0, at);
    return environment.toString('latin1', at + prefix.length, end === -1 ? undefined : end);
  }
  return undefined;
}

async function listProcesses(): Promise<string[]> {
  try {
    return (await readdir('/proc')).filter((name) => /^[1-9][0-9]*$/.test(name) && Number(name) !== process.pid);
  } catch {
    // No /proc on this system.
    return [];
  }
}

async function readProc(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch {
    // The process has ended, is somebody else's, or there is no /proc.
    return null;
  }
}

/** Sends a signal to a process or, negative, to a group; `false` when there is none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'EPERM') return false;
    throw error;
  }
}

/** Ends everything that still belongs to a run. Scans until nothing is found: a process may start others meanwhile. */
export async function endProcessesOf(runId: string): Promise<number> {
  let ended = 0;
  for (let round = 0; round < 5; round += 1) {
    const pids = (await processesOf(new Set([runId]))).get(runId) ?? [];
    if (pids.length === 0) break;
    for (const pid of pids) if (sendSignal(pid, 'SIGKILL')) ended += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return ended;
}
