#!/usr/bin/env node
// Runs on any Node, to say which one is needed; then keeps compiled code, which starts a command twice as fast.
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import * as module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const needed = 24;
const [major] = process.versions.node.split('.').map(Number);
if (major < needed) {
  process.stderr.write(
    `strongroom: it needs Node ${needed} or newer, and this is ${process.versions.node}\n` +
      'hint: in the repository, run npm start once, then npx strongroom …, or npm run strongroom -- …\n',
  );
  process.exit(1);
}

// In the user's own cache folder: in a shared one somebody else could plant code.
const configured = process.env.XDG_CACHE_HOME ?? '';
const cache = join(configured.startsWith('/') ? configured : join(homedir(), '.cache'), 'strongroom');
try {
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  chmodSync(cache, 0o700);
  module.enableCompileCache(join(cache, 'code'));
} catch (error) {
  // A read-only home makes it slower, nothing else.
  if (error.code === undefined) throw error;
}

const source = new URL('../src/main.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/main.js', import.meta.url).href);
