import { SigningKey } from '@strongroom/crypto';
import { expect, it } from 'vitest';
import { describeEachStore } from '../../testing/stores.ts';
import { dataFiles } from '../store/data-directory.ts';
import { Checkpointer } from './checkpoint.ts';
import { DenialCounter } from './denials.ts';
import { exportJsonLines } from './export.ts';
import { publicKeyFile, publishPublicKey } from './public-key-file.ts';
import { verifyDataDirectory } from './verify-files.ts';

describeEachStore('the audit log', (openStore) => {
  it('is written, checkpointed, folded, exported and verified alike', async () => {
    const test = await openStore();
    const keys = await test.keys.auditKeys();
    const anchorPath = dataFiles(test.directory).anchor;
    publishPublicKey(publicKeyFile(anchorPath), keys.publicKey);
    const checkpointer = new Checkpointer({
      store: test.store,
      signing: new SigningKey(keys.signingSeed),
      installationId: keys.installationId,
      epoch: 1,
      anchorPath,
    });
    const event = {
      principal: 'usr_ann',
      principalName: 'user:ann',
      action: 'secret.list',
      outcome: 'allowed',
    } as const;
    await Promise.all(
      ['a', 'B', 'ä', 'b', 'A'].map((name) =>
        test.store.execute('access.record', undefined, { audit: [{ ...event, scope: { id: `dom_${name}`, name } }] }),
      ),
    );
    expect(await checkpointer.make()).toBe(true);
    const denials = new DenialCounter(test.store);
    denials.count('authLogin', 60_000);
    denials.count('authLogin', 60_001);
    await denials.flush(120_000);
    expect(await checkpointer.make()).toBe(true);
    expect(await checkpointer.make()).toBe(false);

    const rows = await test.store.query('audit.list', { limit: 100 });
    expect(rows.map((row) => row.action)).toEqual([
      'audit.checkpoint',
      'denials.anonymous',
      'audit.checkpoint',
      ...Array.from({ length: 5 }, () => 'secret.list'),
    ]);
    const page = await test.store.query('audit.list', {
      limit: 3,
      before: { at: rows[1]!.at, chain: rows[1]!.chain_id, sequence: rows[1]!.sequence },
    });
    expect(page.map((row) => row.sequence)).toEqual(rows.slice(2, 5).map((row) => row.sequence));
    expect(await test.store.query('audit.list', { scope: 'dom_ä', limit: 9 })).toHaveLength(1);

    const chunks: Buffer[] = [];
    for await (const chunk of exportJsonLines(test.store, { id: keys.installationId, publicKeyText: '' }))
      chunks.push(chunk);
    expect(Buffer.concat(chunks).toString().trimEnd().split('\n')).toHaveLength(1 + 1 + 2 + 8);

    const report = await verifyDataDirectory(test.directory, {
      ...(test.url !== undefined && { databaseUrl: test.url }),
      macKeys: new Map([[keys.macTermId, keys.macKey]]),
    });
    expect(report.bad).toEqual([]);
    expect(report).toMatchObject({ ok: true, chains: 1, records: 8, checkpoints: 2, macs: 'checked' });
  });
});
