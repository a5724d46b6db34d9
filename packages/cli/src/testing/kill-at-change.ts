import { promises as files } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';

/**
 * Loaded before a program, kills it right before its n-th change of the file system, n being `KILL_AT`: a new file, a rename, a
 * removal. What the change before did is there, as after any kill.
 */
let left = Number(process.env['KILL_AT']);

function countDown(): void {
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

const { open, rename, unlink } = files;
files.open = async (path, flags, ...more) => {
  if (flags === 'wx') countDown();
  return open(path, flags, ...more);
};
files.rename = async (...paths) => {
  countDown();
  return rename(...paths);
};
files.unlink = async (path) => {
  countDown();
  return unlink(path);
};
syncBuiltinESMExports();
