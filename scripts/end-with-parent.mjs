import process from 'node:process';

const lookMilliseconds = 500;

/**
 * Ends a child with the process that started this one. npm sends a signal to the shell between, which dies of it and passes
 * nothing on: without this, what `npm start` runs goes on when npm is told to stop.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
export function endWithParent(child) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    // Once: a second signal ends a server at once.
    clearInterval(timer);
    child.kill('SIGTERM');
  }, lookMilliseconds).unref();
}
