#!/usr/bin/env node
import { processIo } from './io.ts';
import { runCommandLine } from './program.ts';

// `strongroom … | head` ends the reader first; there is nobody left to tell. A command that listens itself has more to do.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (process.stdout.listenerCount('error') === 1) process.exit(0);
});

// Notes and progress that nobody reads change nothing of what is done.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), processIo());
