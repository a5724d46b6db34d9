import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyArchive, verifyExport } from './verify-files.ts';

const folder = join(import.meta.dirname, '../../../../testdata/audit');
const publicKeyText = readFileSync(join(folder, 'audit.pub'), 'utf8');
const anchorPath = join(folder, 'anchor.log');
const { macKeys, logs } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
  macKeys: Record<string, string>;
  logs: { file: string; what: string; firstBad: { chain: string; sequence: number } | null }[];
};

describe('frozen logs', () => {
  it.each(logs)('$file: $what', async ({ file, firstBad }) => {
    const report = await verifyExport(join(folder, file), { publicKeyText, anchorPath });
    const { chain, sequence } = report.firstBad ?? {};
    expect(report.firstBad === null ? null : { chain, sequence }).toEqual(firstBad);
    expect(report.ok).toBe(firstBad === null);
  });

  it('have the MACs of their key', async () => {
    const keys = new Map(
      Object.entries(macKeys).map(([term, key]) => [term, Uint8Array.from(Buffer.from(key, 'hex'))]),
    );
    const report = await verifyExport(join(folder, 'chain.jsonl'), { publicKeyText, anchorPath, macKeys: keys });
    expect(report).toMatchObject({ ok: true, macs: 'checked', chains: 2, records: 10, checkpoints: 2, anchorLines: 6 });
  });

  it('go on from the marks of an archive, and are whole with it', async () => {
    const options = { publicKeyText, anchorPath: join(folder, 'archived-anchor.log') };
    const file = join(folder, 'archived.jsonl');
    const digests = [
      '6d4505d8b6927bc8c7af73507f00678828ad0c35f646e05e7139e96f4b7e135c',
      'dfbc3031fc54937566c66569b5c5d823a6f26c2c910511e62374254a6597921a',
    ];
    const alone = await verifyExport(file, options);
    expect(alone).toMatchObject({
      ok: true,
      records: 6,
      archived: digests.map((digest) => ({ digest, isRead: false })),
    });
    const archives = [join(folder, 'archive')];
    const whole = await verifyExport(file, { ...options, archives });
    expect(whole).toMatchObject({
      ok: true,
      records: 18,
      archived: digests.map((digest) => ({ digest, isRead: true })),
    });
    expect(await verifyArchive({ publicKeyText, archives })).toMatchObject({ ok: true, archivedCount: 2 });
  });

  it('are covered whole by an anchor kept elsewhere', async () => {
    const report = await verifyExport(join(folder, 'chain.jsonl'), { publicKeyText, outsideAnchors: [anchorPath] });
    expect(report).toMatchObject({ ok: true, unprotectedWindow: [] });
  });
});
