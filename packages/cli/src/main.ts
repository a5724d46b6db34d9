#!/usr/bin/env node
import { processIo } from './io.ts';
import { runCommandLine } from './program.ts';

let isOutlived = false;

// `strongroom … | head` ends the reader first; there is nobody left to tell. A command that listens itself has more to do, to its
// end: each further write says the same again, also when the command has stopped listening.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  isOutlived ||= process.stdout.listenerCount('error') > 1;
  if (!isOutlived) process.exit(0);
});

// Notes and progress that nobody reads change nothing of what is done.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), processIo());
