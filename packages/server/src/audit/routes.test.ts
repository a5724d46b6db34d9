import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type auditRoutes, AuditRecord, StrongroomError } from '@strongroom/contract';
import { SigningKey } from '@strongroom/crypto';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import type { Caller } from '../access/types.ts';
import type { HandlerRequest, HandlersOf } from '../http/handler.ts';
import { dataFiles } from '../store/data-directory.ts';
import { withLease } from '../store/leases.ts';
import { archiveJob } from './archive-job.ts';
import { archiveLease, archiveRecords } from './archive.ts';
import { Checkpointer } from './checkpoint.ts';
import type { AuditEvent } from './event.ts';
import { auditHandlers } from './routes.ts';

type Handlers = HandlersOf<typeof auditRoutes>;
let test: TestStore;
let handlers: Handlers;
const controller = new AbortController();

function request<Id extends keyof Handlers>(
  query: Parameters<Handlers[Id]>[0]['query'],
  caller = 'usr_audit',
  scope = 'dom_finance',
) {
  const parts = {
    query,
    caller: { id: caller, name: 'user:auditor', requestId: 'req-1', network: '127.0.0.1' } as Caller,
    scope: { id: scope, kind: 'domain', name: 'finance' },
    signal: controller.signal,
  };
  return parts as unknown as Parameters<Handlers[Id]>[0] & HandlerRequest<never>;
}

async function record(event: Partial<AuditEvent>): Promise<void> {
  await test.store.execute('access.record', undefined, {
    audit: [{ principal: 'usr_ann', principalName: 'user:ann', action: 'secret.list', outcome: 'allowed', ...event }],
  });
}

beforeAll(async () => {
  test = await openTestStore();
  const { publicKey, signingSeed } = await test.keys.auditKeys();
  const anchorPath = dataFiles(test.directory).anchor;
  handlers = auditHandlers({ store: test.store, keys: test.keys, publicKey, anchorPath });
  for (let index = 0; index < 12; index += 1) {
    await record({
      ...(index % 3 === 0 && { scope: { id: 'dom_finance', name: 'finance' } }),
      ...(index % 4 === 0 && { outcome: 'denied', principal: 'usr_bob', principalName: '=bob' }),
      requestId: `req-${index}`,
      detail: { index },
    });
  }
  await new Checkpointer({
    store: test.store,
    signing: new SigningKey(signingSeed),
    installationId: test.keys.installationId,
    epoch: 1,
    anchorPath,
  }).make();
});
afterAll(() => test.close());

describe('the list', () => {
  it('shows every record once, newest first, in pages', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await handlers.listAuditRecords(
        request<'listAuditRecords'>({ limit: 5, action: 'secret.list', ...(cursor !== undefined && { cursor }) }),
      );
      for (const item of body!.items) expect([...Value.Errors(AuditRecord, item)]).toEqual([]);
      seen.push(...body!.items.map((item) => item.requestId!));
      cursor = body!.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, index) => `req-${11 - index}`));
  });

  it.each([
    [{ scope: 'dom_finance' }, 4],
    [{ principal: 'usr_bob' }, 3],
    [{ outcome: 'denied' as const, scope: 'dom_finance' }, 1],
    [{ action: 'secret.list', to: '2000-01-01T00:00:00Z' }, 0],
    [{ action: 'secret.list', from: '2000-01-01T00:00:00Z' }, 12],
    [{ scope: 'no-such' }, 0],
    [{ principal: "' or 1=1 --" }, 0],
  ])('filters by %j', async (query, count) => {
    const { body } = await handlers.listAuditRecords(request<'listAuditRecords'>({ limit: 200, ...query }));
    expect(body!.items).toHaveLength(count);
  });

  it('of a domain shows that domain alone, whatever is asked', async () => {
    const { body } = await handlers.listDomainAuditRecords(
      request<'listDomainAuditRecords'>({ limit: 200, scope: 'dom_other' } as object),
    );
    expect(body!.items.map((item) => item.scope?.id)).toEqual(Array.from({ length: 4 }, () => 'dom_finance'));
  });

  it('refuses a cursor of another caller, another filter, another scope, and a time that is none', async () => {
    const first = await handlers.listAuditRecords(request<'listAuditRecords'>({ limit: 2 }));
    const cursor = first.body!.nextCursor!;
    const refused = { code: 'cursor_invalid' };
    await expect(
      handlers.listAuditRecords(request<'listAuditRecords'>({ limit: 2, cursor }, 'usr_other')),
    ).rejects.toMatchObject(refused);
    await expect(
      handlers.listAuditRecords(request<'listAuditRecords'>({ limit: 2, cursor, outcome: 'denied' })),
    ).rejects.toMatchObject(refused);
    await expect(
      handlers.listDomainAuditRecords(request<'listDomainAuditRecords'>({ limit: 2, cursor })),
    ).rejects.toMatchObject(refused);
    await expect(handlers.listAuditRecords(request<'listAuditRecords'>({ cursor: 'x' }))).rejects.toMatchObject(
      refused,
    );
    await expect(
      handlers.listAuditRecords(request<'listAuditRecords'>({ from: '2016-12-31T23:59:60Z' })),
    ).rejects.toBeInstanceOf(StrongroomError);
  });

  it('shows no genesis and nothing undeclared of it', async () => {
    const { body } = await handlers.listAuditRecords(request<'listAuditRecords'>({ limit: 200 }));
    expect(body!.items.find((item) => item.sequence === 1)).not.toHaveProperty('genesis');
  });
});

describe('the export', () => {
  it('is recorded, and in CSV formula-safe and filtered', async () => {
    const { stream, headers } = await handlers.exportAuditRecords(
      request<'exportAuditRecords'>({ format: 'csv', principal: 'usr_bob' }),
    );
    const csv = await text(stream as NodeJS.ReadableStream & AsyncIterable<Buffer>);
    expect(headers!['content-type']).toContain('text/csv');
    expect(csv.trimEnd().split('\r\n')).toHaveLength(4);
    expect(csv).toContain(",'=bob,");
    const { body } = await handlers.listAuditRecords(request<'listAuditRecords'>({ action: 'audit.export' }));
    expect(body!.items[0]).toMatchObject({
      principal: { id: 'usr_audit' },
      detail: { format: 'csv', principal: 'usr_bob' },
    });
  });

  it('in JSON Lines is whole, and JSON on every line', async () => {
    const { stream } = await handlers.exportAuditRecords(request<'exportAuditRecords'>({}));
    const lines = (await text(stream as NodeJS.ReadableStream & AsyncIterable<Buffer>))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(
      Map.groupBy(lines, (line) => line.type)
        .keys()
        .toArray(),
    ).toEqual([
      'strongroom.audit.export',
      'strongroom.audit.chain',
      'strongroom.audit.checkpoint',
      'strongroom.audit.record',
    ]);
    expect(lines.at(-1).record.action).toBe('audit.export');
    await expect(
      handlers.exportAuditRecords(request<'exportAuditRecords'>({ outcome: 'denied' })),
    ).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: 'outcome' }],
    });
  });

  it('stops when the client goes away', async () => {
    const gone = new AbortController();
    const asked = { ...request<'exportAuditRecords'>({}), signal: gone.signal } as Parameters<
      Handlers['exportAuditRecords']
    >[0];
    const { stream } = await handlers.exportAuditRecords(asked);
    gone.abort();
    expect(typeof stream === 'object' && stream.destroyed).toBe(true);
  });
});

describe('the archive', () => {
  it('is listed by its marks, and lists and exports say what is in it', async () => {
    const { publicKey, signingSeed } = await test.keys.auditKeys();
    const signing = new SigningKey(signingSeed);
    const installationId = test.keys.installationId;
    const anchorPath = dataFiles(test.directory).anchor;
    const checkpointer = new Checkpointer({ store: test.store, signing, installationId, epoch: 1, anchorPath });
    const list = async (query: Parameters<typeof request<'listAuditRecords'>>[0] = {}) =>
      (await handlers.listAuditRecords(request<'listAuditRecords'>({ limit: 5, ...query }))).body!;
    expect(await list()).not.toHaveProperty('archived');
    expect((await handlers.listAuditSegments(request<'listAuditSegments'>({}))).body).toEqual({ items: [] });
    for (let index = 0; index < 3; index += 1) {
      await record({});
      await checkpointer.make();
    }
    const directory = mkdtempSync(join(test.directory, 'archive-'));
    await withLease(test.store, archiveLease, 'test', 60_000, (lease) =>
      archiveRecords(
        { store: test.store, signing, installationId },
        { directory, before: Date.now() + 1, lease, principalName: 'system', recordsPerSegment: 1 },
      ),
    );
    const first = (await handlers.listAuditSegments(request<'listAuditSegments'>({ limit: 2 }))).body!;
    expect(first.items).toMatchObject([{ segment: 'audit-1-000001' }, { segment: 'audit-1-000002', number: 2 }]);
    const cursor = first.nextCursor!;
    const { body } = await handlers.listAuditSegments(request<'listAuditSegments'>({ limit: 2, cursor }));
    expect(body).toMatchObject({ items: [{ number: 3, records: 2 }] });
    for (const other of [
      request<'listAuditSegments'>({ cursor }, 'usr_other'),
      request<'listAuditSegments'>({ cursor: 'x' }),
    ])
      await expect(handlers.listAuditSegments(other)).rejects.toMatchObject({ code: 'cursor_invalid' });
    const archived = { from: first.items[0]!.from, to: body!.items[0]!.to };
    expect((await list()).archived).toEqual(archived);
    expect(await list({ from: '2999-01-01T00:00:00Z' })).not.toHaveProperty('archived');
    const domain = await handlers.listDomainAuditRecords(request<'listDomainAuditRecords'>({}));
    expect(domain.body!.archived).toEqual(archived);
    const { headers } = await handlers.exportAuditRecords(request<'exportAuditRecords'>({ format: 'csv' }));
    expect(headers!['strongroom-archived']).toBe(`${archived.from}/${archived.to}`);

    const other = auditHandlers({
      store: test.store,
      keys: test.keys,
      publicKey: Uint8Array.from(publicKey, (byte) => byte ^ 1),
      anchorPath,
    });
    const shown = await other.listAuditSegments(request<'listAuditSegments'>({ limit: 1 }));
    expect(shown.body!.items).toEqual([{ number: 1, digest: first.items[0]!.digest, unreadable: true }]);
  });

  it('takes by itself what is older than the retention, a day of it at a time', async () => {
    const { signingSeed } = await test.keys.auditKeys();
    const directory = mkdtempSync(join(test.directory, 'archive-'));
    const parts = {
      store: test.store,
      signing: new SigningKey(signingSeed),
      installationId: test.keys.installationId,
    };
    const job = archiveJob(parts, { directory, days: 30 });
    const day = 24 * 60 * 60_000;
    const lease = { name: archiveLease, signal: new AbortController().signal };
    const run = async (days: number): Promise<string[]> => {
      const { epoch } = await test.store.execute('lease.acquire', {
        name: archiveLease,
        holder: 'test',
        ttlMilliseconds: 60_000,
      });
      const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + days * day);
      try {
        await job.run({ ...lease, epoch: epoch! });
      } finally {
        now.mockRestore();
        await test.store.execute('lease.release', { name: archiveLease, epoch: epoch! });
      }
      return readdirSync(directory);
    };
    await record({});
    await new Checkpointer({ ...parts, epoch: 1, anchorPath: dataFiles(test.directory).anchor }).make();
    expect(await run(29)).toEqual([]);
    expect(await run(30.5)).toEqual([]);
    expect(await run(32)).toHaveLength(2);
  });
});

describe('the anchor', () => {
  it('is the key, the newest checkpoint and the last line', async () => {
    const { body } = await handlers.showAuditAnchor(request<'showAuditAnchor'>({}));
    expect(body!.publicKey).toMatch(/^strongroom-audit-v1:/);
    expect(JSON.parse(body!.checkpoint!.document).heads).toEqual(body!.checkpoint!.heads);
    expect(JSON.parse(body!.lines[0]!)).toMatchObject({ type: 'strongroom.audit.anchor', key: body!.keyId });
  });
});
