// @needs openbao
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpRequest } from './http-request.ts';
import { startOpenBao } from './openbao.ts';
import type { Vault } from './vault-server.ts';

interface Read {
  readonly data: { readonly data: unknown; readonly metadata: { readonly version: number } };
}

describe('an unsealed OpenBao', () => {
  let openbao: Vault;
  beforeAll(async () => {
    openbao = await startOpenBao();
  });
  afterAll(() => openbao.stop());

  it('is of the pinned version, and keeps secrets in KV v2 without showing them in its audit log', async () => {
    const seal = await openbao.request<{ version: string }>('GET', 'sys/seal-status');
    expect(seal.body.version).toBe('2.7.2');
    const canary = randomUUID();
    expect((await openbao.request('POST', 'secret/data/finance/db', { data: { password: canary } })).status).toBe(200);
    const read = await openbao.request<Read>('GET', 'secret/data/finance/db');
    expect(read.body.data).toMatchObject({ data: { password: canary }, metadata: { version: 1 } });
    expect(openbao.requests().map(({ operation, path }) => `${operation} ${path}`)).toContain(
      'read secret/data/finance/db',
    );
    expect(readFileSync(openbao.auditLogPath, 'utf8')).not.toContain(canary);
  });

  it('has a KV v1 mount, and namespaces', async () => {
    expect((await openbao.request('PUT', 'kv1/db', { password: 'x' })).status).toBe(204);
    expect((await openbao.request('POST', 'sys/namespaces/teams', {})).status).toBe(200);
    expect((await openbao.request<{ data: object }>('GET', 'teams/sys/mounts')).body.data).not.toHaveProperty(
      'secret/',
    );
  });

  it('is sealed and unsealed', async () => {
    await openbao.seal();
    expect((await openbao.request('GET', 'secret/data/finance/db')).status).toBe(503);
    await openbao.unseal();
    expect((await openbao.request('GET', 'secret/data/finance/db')).status).toBe(200);
  });
});

it('starts uninitialised', async () => {
  const openbao = await startOpenBao({ state: 'uninitialised' });
  try {
    expect((await openbao.request('GET', 'sys/health')).status).toBe(501);
    expect(openbao.rootToken).toBe('');
  } finally {
    await openbao.stop();
  }
});

it('is trusted over TLS by its authority alone, and is the same after a restart', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'strongroom-openbao-'));
  let openbao = await startOpenBao({ tls: true, dir });
  try {
    expect(openbao.url).toMatch(/^https:/);
    await expect(httpRequest(`${openbao.url}/v1/sys/health`)).rejects.toThrow(/certificate/);
    await openbao.request('POST', 'secret/data/kept', { data: { value: 'x' } });
    const { caCertificate, rootToken } = openbao;
    const port = Number(new URL(openbao.url).port);
    await openbao.stop();
    openbao = await startOpenBao({ tls: true, dir, port });
    expect(openbao).toMatchObject({ caCertificate, rootToken });
    expect((await openbao.request<Read>('GET', 'secret/data/kept')).body.data.data).toEqual({ value: 'x' });
  } finally {
    await openbao.stop();
    rmSync(dir, { recursive: true });
  }
});
