import { spawn } from 'node:child_process';

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with nothing in its environment but what is given. @throws Error when it can't be started */
export async function runProgram(
  program: string,
  args: readonly string[],
  { environment, stdin }: { readonly environment: Readonly<Record<string, string>>; readonly stdin: string },
): Promise<Ended> {
  const child = spawn(program, args, { env: environment });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  // When it ends without reading its input, its exit code says why.
  child.stdin.once('error', () => undefined);
  child.stdin.end(stdin);
  return { code: await ended, stdout, stderr };
}
