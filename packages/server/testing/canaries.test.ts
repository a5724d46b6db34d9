import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Canaries, encodedForms } from './canaries.ts';

describe('Canaries', () => {
  it('finds nothing where nothing is', () => {
    const canaries = new Canaries();
    canaries.text('password');
    canaries.saw('log', 'a line without it');
    expect(canaries.leaks()).toEqual([]);
  });

  it.each(['raw', 'hex', 'url', 'json', 'json ascii', 'base64 at 0', 'base64 at 1', 'base64 at 2'])(
    'finds a planted value: %s',
    (form) => {
      const canaries = new Canaries();
      const value = canaries.text('password');
      const planted = encodedForms(Buffer.from(value)).find(([name]) => name === form)?.[1];
      expect(planted).toBeDefined();
      canaries.saw('log', Buffer.concat([Buffer.from('x='), planted ?? Buffer.alloc(0), Buffer.from('\n')]));
      expect(canaries.leaks().some((leak) => leak.startsWith('password (') && leak.endsWith('in log'))).toBe(true);
      expect(() => canaries.assertNoLeak()).toThrow(/password/);
    },
  );

  it.each([0, 1, 2])('finds base64 of a text that holds the value at offset %i', (offset) => {
    const canaries = new Canaries();
    const value = canaries.text('password');
    canaries.saw('header', Buffer.from(`${'u'.repeat(offset)}${value}:tail`).toString('base64'));
    expect(canaries.leaks()).not.toEqual([]);
  });

  it('searches files at any depth', () => {
    const canaries = new Canaries();
    const directory = mkdtempSync(join(tmpdir(), 'canaries-'));
    try {
      writeFileSync(join(directory, 'a.log'), `value ${canaries.plain('token')}`);
      canaries.watchDirectory(directory);
      expect(canaries.leaks()).toEqual([`token (raw) in ${join(directory, 'a.log')}`]);
      canaries.allow('token', join(directory, 'a.log'));
      expect(canaries.leaks()).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('refuses to be a test that can not fail', () => {
    expect(() => new Canaries().assertNoLeak()).toThrow(/can not fail/);
  });
});
