import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { detectNamespace } from './namespace.ts';

describe('the namespace', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'strongroom-namespace-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is that of the ServiceAccount', async () => {
    const path = join(folder, 'namespace');
    writeFileSync(path, 'team-a\n');
    expect(await detectNamespace(path)).toBe('team-a');
  });
  it('is default outside of a pod', async () => {
    expect(await detectNamespace(join(folder, 'absent'))).toBe('default');
    expect(await detectNamespace(join(folder, 'absent', 'namespace'))).toBe('default');
  });
  it('is not guessed when the file is there and says nothing', async () => {
    const path = join(folder, 'bad');
    writeFileSync(path, '../x');
    await expect(detectNamespace(path)).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(detectNamespace(folder)).rejects.toMatchObject({ code: 'validation_failed' });
  });
});
