import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { SigningKey } from '@strongroom/crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isLinked, isSignedBy, parseAnchorLine } from './anchor-line.ts';
import { type AuditChainOptions, createAuditChain } from './chain.ts';
import type { AuditEvent } from './event.ts';
import { createRecordHash, createRecordMac, noPreviousHash } from './record.ts';

const seed = new Uint8Array(32).fill(9);
const { publicKey } = new SigningKey(Uint8Array.from(seed));
const event: AuditEvent = { principal: 'usr_1', principalName: 'user:ann', action: 'secret.list', outcome: 'allowed' };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-audit-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function optionsWith(path: string | null): AuditChainOptions {
  return {
    keys: {
      installationId: 'ins_1',
      macTermId: 'term',
      macKey: new Uint8Array(32).fill(7),
      signingTermId: 'sign',
      signingSeed: seed,
      publicKey,
    },
    epoch: 1,
    anchor: { path, isOnStdout: false },
    opening: { checkpoint: null, heads: [{ chain: 'chn_old', sequence: 4, hash: 'ab' }] },
  };
}

describe('the chain', () => {
  it('links each record to the one before and MACs its hash', () => {
    const chain = createAuditChain(optionsWith(join(folder, 'audit.anchor')));
    const rows = [chain.append(event, 1000), chain.append(event, 2000)];
    const hashRecord = createRecordHash(chain.chainId);
    const first = hashRecord(1, noPreviousHash, rows[0]!.record);
    const second = hashRecord(2, first, rows[1]!.record);
    expect(rows.map((row) => row.hash)).toEqual([first, second]);
    expect(rows[1]!.mac).toEqual(createRecordMac('ins_1', 'term', new Uint8Array(32).fill(7))(second));
    expect(rows[1]).toMatchObject({
      sequence: 2,
      at: 2000,
      principal_id: 'usr_1',
      scope_id: null,
      action: 'secret.list',
    });
  });

  it('puts what it links to into the first record, again after that one was rolled back', () => {
    const chain = createAuditChain(optionsWith(join(folder, 'audit.anchor')));
    const start = chain.position();
    chain.append(event, 1000);
    chain.reset(start);
    const [first, second] = [chain.append(event, 2000), chain.append(event, 3000)];
    expect(first).toMatchObject({ sequence: 1 });
    const record = JSON.parse(Buffer.from(first.record).toString());
    expect(record.genesis).toMatchObject({
      installation: 'ins_1',
      epoch: 1,
      anchor: null,
      heads: [{ chain: 'chn_old', sequence: 4, hash: 'ab' }],
    });
    expect(Buffer.from(second.record).includes('genesis')).toBe(false);
  });

  it('gives the same rows after a savepoint was rolled back as if it had not been', () => {
    const chain = createAuditChain(optionsWith(join(folder, 'audit.anchor')));
    chain.append(event, 1);
    const savepoint = chain.position();
    const expected = chain.append({ ...event, requestId: 'kept' }, 5);
    chain.reset(savepoint);
    chain.append({ ...event, requestId: 'refused' }, 3);
    chain.append({ ...event, requestId: 'refused' }, 4);
    chain.reset(savepoint);
    expect(chain.append({ ...event, requestId: 'kept' }, 5)).toEqual(expected);
  });
});

describe('the anchor', () => {
  it('gets one signed, linked line per batch and none for an empty one', () => {
    const path = join(folder, 'audit.anchor');
    const options = optionsWith(path);
    const chain = createAuditChain(options);
    chain.append(event, 1000);
    chain.append(event, 2000);
    chain.committed();
    chain.committed();
    const last = chain.append(event, 3000);
    chain.committed();
    // The next process goes on in the same series.
    const next = createAuditChain(options);
    const genesis = JSON.parse(Buffer.from(next.append(event, 4000).record).toString()).genesis;
    next.committed();
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((text) => parseAnchorLine(text)!);
    expect(lines.map((line) => [line.line, line.chain, line.sequence])).toEqual([
      [1, chain.chainId, 2],
      [2, chain.chainId, 3],
      [3, next.chainId, 1],
    ]);
    expect(lines[1]!.hash).toBe(Buffer.from(last.hash).toString('hex'));
    expect(genesis.anchor).toEqual({ series: lines[1]!.series, line: 2, hash: lines[1]!.lineHash });
    expect(isLinked(lines[0]!, lines[1]!) && isLinked(lines[1]!, lines[2]!)).toBe(true);
    expect(lines.every((line) => isSignedBy(publicKey, line))).toBe(true);
  });

  it('refuses the release when the file cannot be written', () => {
    expect(() => createAuditChain(optionsWith(join(folder, 'absent', 'audit.anchor')))).toThrow(/ENOENT/);
    const chain = createAuditChain(optionsWith('/dev/full'));
    chain.append(event, 1);
    expect(() => chain.committed()).toThrow(StrongroomError);
    expect(() => chain.committed()).toThrow('The audit anchor could not be written.');
  });
});
