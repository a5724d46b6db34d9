import { Value } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { googleBackend } from './google.ts';
import { googleTokenUrl, readServiceAccountKey, serviceAccountKeyProblem } from './service-account-key.ts';

const valid = { project: 'finance-prod', authentication: { method: 'service-account' } };
const check = (change: object): boolean => Value.Check(googleBackend.settings, { ...valid, ...change });

describe('the settings of an integration with Google Secret Manager', () => {
  it.each([
    {},
    { location: 'europe-west3' },
    { location: 'northamerica-northeast1' },
    { prefix: 'finance_', labels: ['team:finance', 'stage:prod'] },
    { version: 'latest' },
    { version: '7' },
    { version: 'stable-1' },
    { endpoint: 'https://secretmanager-finance.p.googleapis.com' },
    { endpoint: 'https://gateway.example.com:8443/' },
    { authentication: { method: 'application-default' } },
    {
      authentication: {
        method: 'application-default',
        serviceAccount: 'reader@finance-prod.iam.gserviceaccount.com',
      },
    },
  ])('may be %j', (change) => {
    expect(check(change)).toBe(true);
  });

  it.each([
    { project: 'Finance' },
    { project: '../other' },
    { project: 'finance-prod/secrets/x' },
    { location: 'europe-west3.example.com/' },
    { location: 'europe' },
    { prefix: 'a/b' },
    { prefix: 'a b' },
    { labels: ['team'] },
    { labels: ['team:finance OR labels.x:y'] },
    { labels: ['Team:finance'] },
    { labels: ['team:'] },
    { version: '0' },
    { version: '../1' },
    { version: '' },
    { endpoint: 'http://gateway.example.com' },
    { endpoint: 'https://10.0.0.1' },
    { endpoint: 'https://[::1]' },
    { endpoint: 'https://user@gateway.example.com' },
    { endpoint: 'https://gateway.example.com/path' },
    { endpoint: 'https://gateway.example.com#x' },
    { authentication: { method: 'service-account', serviceAccount: 'a@b.iam.gserviceaccount.com' } },
    { authentication: { method: 'application-default', serviceAccount: 'a@b/../c' } },
    { authentication: { method: 'external-account' } },
    { serviceAccountKey: '{}' },
  ])('refuse %j', (change) => {
    expect(check(change)).toBe(false);
  });

  it('refuse a prefix in another alphabet', () => {
    for (const prefix of ['ſ', '\u212A', 'a\u200B', 'a\n', 'a ']) expect(check({ prefix })).toBe(false);
  });
});

describe('the key of a service account', () => {
  const key = {
    type: 'service_account',
    project_id: 'finance-prod',
    private_key_id: '0a1b2c',
    private_key: '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n',
    client_email: 'strongroom@finance-prod.iam.gserviceaccount.com',
    auth_uri: 'https://accounts.google.com/o/oauth2/auth',
    token_uri: googleTokenUrl,
    universe_domain: 'googleapis.com',
  };
  const problemOf = (change: object): string | null => serviceAccountKeyProblem(JSON.stringify({ ...key, ...change }));

  it('is read for what is used of it', () => {
    expect(readServiceAccountKey(JSON.stringify(key))).toEqual({
      clientEmail: key.client_email,
      privateKeyId: key.private_key_id,
      privateKey: key.private_key,
    });
    expect(problemOf({ private_key_id: undefined, universe_domain: undefined })).toBeNull();
  });

  it.each<readonly [string, object]>([
    ['external_account', { type: 'external_account' }],
    ['authorized_user', { type: 'authorized_user' }],
    ['impersonated_service_account', { type: 'impersonated_service_account' }],
    ['no type', { type: undefined }],
    ['a list of types', { type: ['service_account'] }],
    ['another token_uri', { token_uri: 'https://tokens.example.com/token' }],
    ['a token_uri without TLS', { token_uri: 'http://oauth2.googleapis.com/token' }],
    ['no token_uri', { token_uri: undefined }],
    ['another universe', { universe_domain: 'example.com' }],
    ['no client_email', { client_email: undefined }],
    ['a client_email with a line', { client_email: 'a@b.iam.gserviceaccount.com\nx' }],
    ['no private_key', { private_key: undefined }],
    ['a private_key of another kind', { private_key: key.private_key.replaceAll('PRIVATE', 'RSA PRIVATE') }],
    ['a private_key_id that is none', { private_key_id: 7 }],
  ])('is refused with %s, and nothing of it is said', (_, change) => {
    const problem = problemOf(change);
    expect(problem).toEqual(expect.any(String));
    for (const text of ['example.com', 'MIIE', '0a1b2c', 'finance-prod']) expect(problem).not.toContain(text);
  });

  it.each(['', '{', 'null', '[]', '"x"', '7', '{"__proto__":{"type":"service_account"}}'])('is not %j', (text) => {
    expect(serviceAccountKeyProblem(text)).toEqual(expect.any(String));
  });
});
