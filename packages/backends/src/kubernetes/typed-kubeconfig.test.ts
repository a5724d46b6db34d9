import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createEgress } from '../egress/index.ts';
import { openTypedCluster, readTypedKubeconfig } from './typed-kubeconfig.ts';

const canary = 'canary-5b1d9a40c2';

function kubeconfig(change: {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly config?: object;
}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: 'https://cluster.example.com:6443', ...change.cluster } }],
    users: [{ name: 'u', user: { token: canary, ...change.user } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'jobs', ...change.context } }],
    'current-context': 'x',
    ...change.config,
  });
}

describe('a kubeconfig that a user typed', () => {
  it('is read by its current context', () => {
    const read = readTypedKubeconfig(kubeconfig({}));
    expect(read).toMatchObject({
      server: 'https://cluster.example.com:6443',
      namespace: 'jobs',
      caCertificate: undefined,
    });
    expect(read.token.revealText()).toBe(canary);
    expect(inspect(read)).not.toContain(canary);
  });

  it.each([
    ['exec', { user: { exec: { command: 'sh' } } }],
    ['auth-provider', { user: { 'auth-provider': { name: 'gcp' } } }],
    ['client-certificate', { user: { 'client-certificate': '/etc/passwd' } }],
    ['client-key', { user: { 'client-key': '/etc/passwd' } }],
    ['tokenFile', { user: { tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' } }],
    ['as', { user: { as: 'system:admin' } }],
    ['certificate-authority', { cluster: { 'certificate-authority': '/etc/ssl/ca.pem' } }],
    ['insecure-skip-tls-verify', { cluster: { 'insecure-skip-tls-verify': true } }],
    ['insecure-skip-tls-verify', { cluster: { 'insecure-skip-tls-verify': false } }],
    ['tls-server-name', { cluster: { 'tls-server-name': 'other' } }],
    ['proxy-url', { cluster: { 'proxy-url': 'http://127.0.0.1' } }],
    ['not known', { user: { password: canary } }],
    ['not known', { config: { extensions: [] } }],
    ['needs a token', { user: { token: undefined } }],
    ['needs a token', { user: { token: 'a\nX-Other: b' } }],
    ['needs a server', { cluster: { server: 'http://cluster.example.com' } }],
    ['needs a server', { cluster: { server: 7 } }],
    ['no certificate', { cluster: { 'certificate-authority-data': 'AAAA' } }],
    ['current-context', { config: { 'current-context': 'other' } }],
    ['current-context', { config: { 'current-context': '__proto__' } }],
    ['the user of', { context: { user: 'nobody' } }],
    ['no list users', { config: { users: {} } }],
  ])('is refused for %s: %j', (word, change) => {
    const read = () => readTypedKubeconfig(kubeconfig(change));
    expect(read).toThrow(expect.objectContaining({ code: 'validation_failed' }));
    expect(read).toThrow(word);
    expect(read).not.toThrow(canary);
  });

  it('is refused where another user of it would run a program, though nobody chose that one', () => {
    const users = [
      { name: 'u', user: { token: canary } },
      { name: 'v', user: { exec: { command: 'sh' } } },
    ];
    expect(() => readTypedKubeconfig(kubeconfig({ config: { users } }))).toThrow('users[1].user has exec');
  });

  it.each(['', '[', `token: ${canary}\ntoken: ${canary}`, 'a: &x [1]\nb: *x', `--- ${canary}`, 'x'.repeat(70_000)])(
    'is refused as text, which is not repeated: %j',
    (text) => {
      expect(() => readTypedKubeconfig(text)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
      expect(() => readTypedKubeconfig(text)).not.toThrow(canary);
    },
  );

  it('goes through the egress guard', async () => {
    const egress = createEgress({ allow: [], allowLoopback: false });
    for (const server of ['https://127.0.0.1:6443', 'https://169.254.169.254', 'https://user@cluster.example.com'])
      expect(() => openTypedCluster(readTypedKubeconfig(kubeconfig({ cluster: { server } })), egress)).toThrow(
        expect.objectContaining({ code: 'egress_denied' }),
      );
    await egress.close();
  });
});
