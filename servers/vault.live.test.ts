// @needs vault
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpRequest } from './http-request.ts';
import type { Vault } from './vault-server.ts';
import { startVault } from './vault.ts';

interface Read {
  readonly data: { readonly data: unknown; readonly metadata: { readonly version: number } };
}

describe('an unsealed Vault', () => {
  let vault: Vault;
  beforeAll(async () => {
    vault = await startVault();
  });
  afterAll(() => vault.stop());

  it('keeps versions of a secret in KV v2, and shows in the audit log what it was asked', async () => {
    const canary = randomUUID();
    const before = vault.requests().length;
    expect((await vault.request('POST', 'secret/data/finance/db', { data: { password: canary } })).status).toBe(200);
    const read = await vault.request<Read>('GET', 'secret/data/finance/db');
    expect(read.body.data).toMatchObject({ data: { password: canary }, metadata: { version: 1 } });
    expect(vault.requests(before).map(({ operation, path }) => `${operation} ${path}`)).toEqual([
      'create secret/data/finance/db',
      'read secret/data/finance/db',
    ]);
    expect(readFileSync(vault.auditLogPath, 'utf8')).not.toContain(canary);
  });

  it('has a KV v1 mount', async () => {
    expect((await vault.request('PUT', 'kv1/db', { password: 'x' })).status).toBe(204);
    expect((await vault.request<{ data: unknown }>('GET', 'kv1/db')).body.data).toEqual({ password: 'x' });
  });

  it.each(['approle', 'jwt', 'kubernetes', 'userpass'])('can log in by %s', async (type) => {
    expect((await vault.request('POST', `sys/auth/${type}`, { type })).status).toBe(204);
  });

  it('logs in by AppRole with the rights of a policy alone', async () => {
    await vault.request('POST', 'sys/auth/apps', { type: 'approle' });
    const policy = 'path "secret/data/finance/*" { capabilities = ["read"] }';
    await vault.request('PUT', 'sys/policies/acl/finance', { policy });
    await vault.request('POST', 'auth/apps/role/reader', { token_policies: ['finance'] });
    const role = await vault.request<{ data: { role_id: string } }>('GET', 'auth/apps/role/reader/role-id');
    const secret = await vault.request<{ data: { secret_id: string } }>('POST', 'auth/apps/role/reader/secret-id', {});
    const credentials = { role_id: role.body.data.role_id, secret_id: secret.body.data.secret_id };
    const login = await vault.request<{ auth: { client_token: string } }>('POST', 'auth/apps/login', credentials, '');
    const token = login.body.auth.client_token;
    await vault.request('POST', 'secret/data/finance/x', { data: { value: '1' } });
    expect((await vault.request('GET', 'secret/data/finance/x', undefined, token)).status).toBe(200);
    expect((await vault.request('GET', 'secret/data/other', undefined, token)).status).toBe(403);
  });

  it('is sealed and unsealed', async () => {
    await vault.seal();
    expect((await vault.request('GET', 'sys/health')).status).toBe(503);
    expect((await vault.request('GET', 'secret/data/finance/db')).status).toBe(503);
    await vault.unseal();
    expect((await vault.request('GET', 'sys/health')).status).toBe(200);
  });
});

describe('other states', () => {
  it.each([
    { state: 'sealed', health: 503 },
    { state: 'uninitialised', health: 501 },
  ] as const)('starts $state', async ({ state, health }) => {
    const vault = await startVault({ state });
    try {
      expect((await vault.request('GET', 'sys/health')).status).toBe(health);
      expect(vault.rootToken === '').toBe(state === 'uninitialised');
    } finally {
      await vault.stop();
    }
  });

  it('has a standby that says so and redirects', async () => {
    const vault = await startVault({ standby: true });
    try {
      expect((await httpRequest(`${vault.standbyUrl}/v1/sys/health`)).status).toBe(429);
      const headers = { 'x-vault-token': vault.rootToken };
      const answer = await httpRequest(`${vault.standbyUrl}/v1/secret/config`, { headers });
      expect(answer.status).toBe(307);
      expect(answer.headers.location).toBe(`${vault.url}/v1/secret/config`);
    } finally {
      await vault.stop();
    }
  });
});

it('is trusted over TLS by its authority alone, and is the same after a restart', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'strongroom-vault-'));
  let vault = await startVault({ tls: true, dir });
  try {
    expect(vault.url).toMatch(/^https:/);
    await expect(httpRequest(`${vault.url}/v1/sys/health`)).rejects.toThrow(/certificate/);
    await vault.request('POST', 'secret/data/kept', { data: { value: 'x' } });
    const { port } = new URL(vault.url);
    const { caCertificate, rootToken } = vault;
    await vault.stop();
    vault = await startVault({ tls: true, dir, port: Number(port) });
    expect(vault).toMatchObject({ caCertificate, rootToken });
    expect((await vault.request<Read>('GET', 'secret/data/kept')).body.data.data).toEqual({ value: 'x' });
  } finally {
    await vault.stop();
    rmSync(dir, { recursive: true });
  }
});
