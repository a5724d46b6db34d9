import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';

/** Starts what says when it gets a signal, and waits for its end, as `bootstrap.mjs` does. */
const between = `
  import { spawn } from 'node:child_process';
  import { endWithParent } from ${JSON.stringify(new URL('end-with-parent.mjs', import.meta.url).href)};
  const program = "process.on('SIGTERM', () => { console.log('told to stop'); process.exit() }); console.log('begun'); setInterval(() => {}, 1000)";
  const child = spawn(process.execPath, ['-e', program], { stdio: 'inherit' });
  endWithParent(child);
  child.on('exit', (code) => process.exit(code));
`;

it('what a shell started ends, and is told to, when the shell dies of a signal that it passes on to nobody', async () => {
  const shell = spawn('sh', ['-c', '"$0" --input-type=module -e "$1"; true', process.execPath, between], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const ended = once(shell.stdout, 'end');
  shell.stdout.on('data', (piece: Buffer) => {
    output += piece.toString();
    if (output === 'begun\n') shell.kill('SIGTERM');
  });
  await ended;
  expect(output).toBe('begun\ntold to stop\n');
});
