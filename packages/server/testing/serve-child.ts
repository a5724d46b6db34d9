import process from 'node:process';
import { serve } from '../src/serve.ts';

/** A server process as `strongroom serve` runs it; its settings are in the environment. */
process.exitCode = await serve({ demo: process.argv.includes('--demo') });
