import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createToken } from '@strongroom/crypto';
import { currentBundle } from '../packages/cli/bin/bundle.mjs';
import { bundle } from '../scripts/bundle.ts';
import { CommandLine } from './command-line.ts';

interface Manifest {
  readonly id: string;
  readonly inputs: Record<string, { bytes: number; modified: number; sha256: string }>;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'strongroom-bundle-'));
const bundles = pathToFileURL(`${directory}/`);
let id = '';

beforeAll(async () => {
  id = await bundle(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(directory, 'current.json'), 'utf8'));
}

/** What is current when the bundle had been made of another one of the sources. */
function whenMadeOf(path: string, change: Partial<Manifest['inputs'][string]>): string | undefined {
  const original = manifest();
  const input = original.inputs[path];
  if (input === undefined) throw new Error(`${path} is not in the bundle`);
  const file = join(directory, 'current.json');
  writeFileSync(file, JSON.stringify({ ...original, inputs: { ...original.inputs, [path]: { ...input, ...change } } }));
  try {
    return currentBundle(bundles)?.id;
  } finally {
    writeFileSync(file, JSON.stringify(original));
  }
}

describe('a bundle', () => {
  it('is the one to run while its sources are what they were', () => {
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    expect(currentBundle(bundles)?.id).toBe(id);
    expect(currentBundle(new URL('none/', bundles))).toBeUndefined();
  });

  it.each(['', '{"id":', '[]', 'null', '{"id":"x"}'])('is none where what names it was cut off: %s', (text) => {
    const file = join(directory, 'current.json');
    const original = readFileSync(file);
    writeFileSync(file, text);
    try {
      expect(currentBundle(bundles)).toBeUndefined();
    } finally {
      writeFileSync(file, original);
    }
  });

  it.each([
    'packages/cli/src/main.ts',
    'packages/contract/src/errors.ts',
    'packages/crypto/src/index.ts',
    'packages/server/src/store/writer.ts',
    'packages/server/assets/signin.html',
    'packages/server/package.json',
    'package-lock.json',
    'scripts/bundle.ts',
  ])('is passed over once %s is another one', (path) => {
    const { bytes } = manifest().inputs[path] ?? { bytes: 0 };
    expect(whenMadeOf(path, { bytes: bytes + 1 })).toBeUndefined();
    expect(whenMadeOf(path, { modified: 0, sha256: '0'.repeat(64) })).toBeUndefined();
    // Only the time is another one: a copy of the same.
    expect(whenMadeOf(path, { modified: 0 })).toBe(id);
  });

  it('is passed over when a source is gone', () => {
    const original = manifest();
    const inputs = { ...original.inputs, 'packages/server/src/gone.ts': { bytes: 0, modified: 0, sha256: '' } };
    writeFileSync(join(directory, 'current.json'), JSON.stringify({ ...original, inputs }));
    expect(currentBundle(bundles)).toBeUndefined();
    writeFileSync(join(directory, 'current.json'), JSON.stringify(original));
  });

  it('runs whole: pages, version, and all threads', async () => {
    const line = new CommandLine(join(directory, id, 'src', 'main.js'));
    try {
      const token = createToken('srt_');
      const tokenFile = join(line.directory, 'token');
      writeFileSync(tokenFile, token, { mode: 0o600 });
      const { version } = JSON.parse(readFileSync(join(root, 'packages/cli/package.json'), 'utf8'));
      const greeting = await line.serve({ STRONGROOM_BOOTSTRAP_TOKEN_FILE: tokenFile });
      expect(greeting).toContain(`Strongroom ${version}`);
      expect(await line.must(['--version'])).toBe(`${version}\n`);
      const page = await fetch(`${line.url}/signin`);
      expect(await page.text()).toBe(readFileSync(join(root, 'packages/server/assets/signin.html'), 'utf8'));
      const env = { STRONGROOM_TOKEN: token };
      await line.must(['domain', 'create', 'finance'], { env });
      // A list is read by the reader's thread, a backup made by its own.
      expect(await line.must(['audit', 'tail'], { env })).toContain('domain.create');
      await line.must(['backup', join(line.directory, 'backup')]);
      expect(await line.stop()).toBe(0);
    } finally {
      await line.close();
    }
  });
});
