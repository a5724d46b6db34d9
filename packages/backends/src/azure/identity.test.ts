import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AzureWorld, startAzureWorld } from '../../testing/azure-double.ts';
import { azureClientId, azureTenant } from '../../testing/azure-key-vault.ts';
import { type AzureMachine, startAzureMachine } from '../../testing/azure-machine.ts';
import { type Certificate, canServeTls, makeCertificate } from '../../testing/certificate.ts';
import { refusalOf } from '../../testing/refusal.ts';

const canary = 'canary-5b6e0c2d';
const signal = () => AbortSignal.timeout(60_000);
const lent = { externalId: 'strongroom-1' };

describe.skipIf(!canServeTls)('an identity at Azure, of which these are doubles', () => {
  let world: AzureWorld;
  beforeAll(async () => {
    world = await startAzureWorld();
    world.vault.set('db', canary);
  });
  afterEach(() => {
    world.vault.applicationCertificate = null;
    world.vault.federatedToken = null;
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const errorOf = (call: () => Promise<unknown>) =>
    refusalOf(call, [canary, 'canary-', 'Bearer', 'PRIVATE KEY', 'eyJ']);
  const read = (backend: ReturnType<typeof world.open>) => backend.get('db', { signal: signal() });

  describe('by a certificate', () => {
    let own: Certificate;
    let other: Certificate;
    const authentication = { method: 'client-certificate', tenantId: azureTenant, clientId: azureClientId } as const;
    const opened = (pem: string) => world.open({ settings: { authentication }, clientSecret: pem });
    beforeAll(() => {
      [own, other] = [makeCertificate([], 'rsa'), makeCertificate([], 'rsa')];
    });

    it('proves itself by an assertion that its key signs, once for many reads', async () => {
      world.vault.applicationCertificate = own.certificate;
      const before = world.vault.requests.length;
      const backend = opened(`${own.certificate}${own.key}`);
      const answers = await backend.getMany(['db', 'none'], { signal: signal() });
      expect(answers.get('none')).toBeNull();
      expect((await read(backend))?.value.revealText()).toBe(canary);
      const signIns = world.vault.requests.slice(before).filter((request) => request.startsWith('POST'));
      expect(signIns).toEqual([`POST /${azureTenant}/oauth2/v2.0/token`]);
    });

    it('is refused with another certificate', async () => {
      world.vault.applicationCertificate = own.certificate;
      const error = await errorOf(() => read(opened(`${other.certificate}${other.key}`)));
      expect([error.code, error.hint]).toEqual(['backend_denied', expect.stringContaining('certificate')]);
    });

    it('is none without the private key that belongs to it, and nobody is asked', async () => {
      const before = world.vault.requests.filter((request) => request.startsWith('POST')).length;
      const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
      for (const pem of [canary, broken, own.certificate, own.key, `${own.certificate}${other.key}`])
        expect((await errorOf(() => read(opened(pem)))).code).toBe('validation_failed');
      expect(world.vault.requests.filter((request) => request.startsWith('POST'))).toHaveLength(before);
    });
  });

  describe('of the machine', () => {
    let machine: AzureMachine;
    const authentication = { method: 'managed-identity', clientId: azureClientId } as const;
    beforeEach(async () => {
      machine = await startAzureMachine(azureClientId, world.vault.tokens);
      vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', machine.url);
      for (const name of ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT', 'IMDS_ENDPOINT']) vi.stubEnv(name, undefined);
    });
    afterEach(async () => {
      vi.unstubAllEnvs();
      await machine[Symbol.asyncDispose]();
    });

    it('reads, and is asked for just the identity that the profile names', async () => {
      const backend = world.open({ settings: { authentication }, lent });
      expect((await read(backend))?.value.revealText()).toBe(canary);
      const asked = machine.requests.filter((path) => path.includes('client_id='));
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.every((path) => path.includes(`client_id=${azureClientId}`))).toBe(true);
    });

    it('is missing where the machine has another one', async () => {
      const clientId = azureClientId.replace('1', '2');
      const settings = { authentication: { ...authentication, clientId } };
      expect((await errorOf(() => read(world.open({ settings, lent })))).code).toBe('key_unavailable');
    });
  });

  describe('of the workload', () => {
    let home: string;
    beforeEach(() => {
      home = mkdtempSync(join(tmpdir(), 'strongroom-home-'));
    });
    afterEach(() => {
      rmSync(home, { recursive: true });
    });

    /** In a process of its own: only there Node can be told to trust the double. */
    async function readInChild(environment: Readonly<Record<string, string>>): Promise<object> {
      const child = fileURLToPath(new URL('../../testing/azure-child.ts', import.meta.url));
      const authorities = join(home, 'ca.pem');
      writeFileSync(authorities, world.vault.caCertificate);
      const { port } = new URL(world.proxy.url);
      const run = spawn(process.execPath, [child, port, azureClientId, 'db'], {
        env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: authorities, ...environment },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [out] = await Promise.all([text(run.stdout), once(run, 'close')]);
      return JSON.parse(out) as object;
    }

    it('reads by the token that its ServiceAccount has in a file', async () => {
      world.vault.federatedToken = 'canary-federated-token';
      writeFileSync(join(home, 'token'), world.vault.federatedToken);
      const answer = await readInChild({
        AZURE_TENANT_ID: azureTenant,
        AZURE_FEDERATED_TOKEN_FILE: join(home, 'token'),
        AZURE_AUTHORITY_HOST: `https://localhost:${new URL(world.proxy.url).port}`,
      });
      expect(answer).toEqual({ value: canary });
    });

    it('is missing where the operator gave none', async () => {
      vi.stubEnv('AZURE_FEDERATED_TOKEN_FILE', undefined);
      const settings = { authentication: { method: 'workload-identity', clientId: azureClientId } } as const;
      const error = await errorOf(() => read(world.open({ settings, lent })));
      vi.unstubAllEnvs();
      expect(error.code).toBe('key_unavailable');
    });
  });
});
