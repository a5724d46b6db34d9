#!/usr/bin/env node
// Runs on any Node, to say which one is needed; then keeps compiled code, which starts a command twice as fast.
import { chmodSync, mkdirSync } from 'node:fs';
import * as module from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { currentBundle, fromSources, userCacheFolder } from './bundle.mjs';

const needed = 24;
const [major] = process.versions.node.split('.').map(Number);
if (major < needed) {
  process.stderr.write(
    `strongroom: it needs Node ${needed} or newer, and this is ${process.versions.node}\n` +
      'hint: in the repository, run npm start once, then npx strongroom …, or npm run strongroom -- …\n',
  );
  process.exit(1);
}

const { id, main } = currentBundle() ?? fromSources;

const cache = userCacheFolder();
try {
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  chmodSync(cache, 0o700);
  module.enableCompileCache(join(cache, 'code', id));
} catch (error) {
  // A read-only home makes it slower, nothing else.
  if (error.code === undefined) throw error;
}

await import(main.href);
