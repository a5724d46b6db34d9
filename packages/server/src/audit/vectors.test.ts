import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyExport } from './verify-files.ts';

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

  it('are covered whole by an anchor kept elsewhere', async () => {
    const report = await verifyExport(join(folder, 'chain.jsonl'), { publicKeyText, outsideAnchors: [anchorPath] });
    expect(report).toMatchObject({ ok: true, unprotectedWindow: [] });
  });
});
