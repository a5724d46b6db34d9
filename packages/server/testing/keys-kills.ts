import { spawn } from 'node:child_process';
import { expect } from 'vitest';
import { compileCache, testChild } from './programs.ts';

const child = testChild('keys-kill-child');

/** Runs `keys-kill-child.ts`, which has to kill itself and to say nothing. */
export async function runKilledChild(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const env = { ...compileCache, ...environment };
  const started = spawn(process.execPath, [child, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  started.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  const signal = await new Promise((resolve) => started.on('close', (_code, name) => resolve(name)));
  expect({ signal, errors }).toEqual({ signal: 'SIGKILL', errors: '' });
}
