import { StrongroomError } from '@strongroom/contract/core';
import { describe, expect, it } from 'vitest';
import { assertHidden, refusalOf } from '../../testing/refusal.ts';
import {
  accessKeyId,
  assumedRole,
  type AwsAnswer,
  awsError,
  type AwsScript,
  secretAccessKey,
  secretOf,
  startScriptedAws,
  versionId,
} from '../../testing/scripted-aws.ts';
import { limited } from '../wrappers/limited.ts';

const canary = 'canary-8f21c07e';
const signal = () => AbortSignal.timeout(60_000);
const roleArn = 'arn:aws:iam::123456789012:role/finance';

const hidden = [canary, secretAccessKey, 'canary-role-key', 'canary-session-token', accessKeyId];
const errorOf = (call: () => Promise<unknown>) => refusalOf(call, hidden);

const secret = (change: object): AwsAnswer => ({ body: { ...secretOf('app/db', canary), ...change } });
const html = { headers: { 'content-type': 'text/html' }, body: `<!doctype html><p>${canary}</p>` };

describe('an answer that is not the value', () => {
  const cases: Readonly<Record<string, readonly [AwsAnswer, string]>> = {
    'a page with status 200': [html, 'backend_malformed'],
    'a page with status 403': [{ ...html, status: 403 }, 'backend_denied'],
    'a page with status 404': [{ ...html, status: 404 }, 'backend_malformed'],
    'a page with status 502': [{ ...html, status: 502 }, 'backend_unavailable'],
    'JSON that is no object': [{ body: [canary] }, 'backend_malformed'],
    'a text': [{ body: JSON.stringify(canary) }, 'backend_malformed'],
    null: [{ body: 'null' }, 'backend_malformed'],
    nothing: [{ body: '' }, 'backend_malformed'],
    'JSON that ends too early': [{ body: `{"SecretString":"${canary}` }, 'backend_malformed'],
    'a number as value': [secret({ SecretString: 42 }), 'backend_malformed'],
    'an object as value': [secret({ SecretString: { nested: canary } }), 'backend_malformed'],
    'null as value': [secret({ SecretString: null }), 'backend_malformed'],
    'text and bytes': [secret({ SecretBinary: 'AAAA' }), 'backend_malformed'],
    'a lone surrogate': [
      { body: JSON.stringify(secretOf('app/db', 'X')).replace('"X"', `"${canary}\\ud800"`) },
      'backend_malformed',
    ],
    'another secret': [secret({ Name: 'app/other' }), 'backend_malformed'],
    'a name in other letters': [secret({ Name: 'APP/db' }), 'backend_malformed'],
    'no version': [secret({ VersionId: undefined }), 'backend_malformed'],
    'a version that is none': [secret({ VersionId: canary }), 'backend_malformed'],
    'access denied': [awsError('AccessDeniedException', canary), 'backend_denied'],
    'an unknown identity': [awsError('UnrecognizedClientException', canary), 'backend_denied'],
    'a signature of another key': [awsError('InvalidSignatureException', canary), 'backend_denied'],
    'a key that does not decrypt': [awsError('DecryptionFailure', canary), 'backend_denied'],
    'a secret that is scheduled for deletion': [awsError('InvalidRequestException', canary), 'backend_deleted'],
    'a parameter that is not taken': [awsError('InvalidParameterException', canary), 'backend_malformed'],
    'an error that is not its own': [awsError(canary, canary), 'backend_malformed'],
    throttling: [awsError('ThrottlingException', canary), 'backend_throttled'],
    'status 429': [{ status: 429, body: { errors: [canary] } }, 'backend_throttled'],
    'status 500': [{ status: 500, body: { errors: [canary] } }, 'backend_unavailable'],
    'an error of the service': [awsError('InternalServiceError', canary, 500), 'backend_unavailable'],
    'a redirect': [{ status: 307, headers: { location: `http://169.254.169.254/${canary}` } }, 'backend_malformed'],
    'a compressed body': [{ headers: { 'content-encoding': 'gzip' }, body: canary }, 'backend_malformed'],
    'a body of 13 MiB': [{ body: canary.padEnd(13 * 1024 * 1024, 'x') }, 'backend_malformed'],
  };

  it.each(Object.entries(cases))('is a typed error without a word of it: %s', async (_, [answer, code]) => {
    await using aws = await startScriptedAws(() => answer);
    const backend = await aws.open();
    const error = await errorOf(() => backend.get('app/db', { signal: signal() }));
    expect(error.code).toBe(code);
  });

  it.each<readonly [string, unknown]>([
    ['no list', {}],
    ['a list of nothing', { SecretList: [null] }],
    ['an item without a name', { SecretList: [{ Name: 7 }] }],
    ['a list that is a text', { SecretList: canary }],
    ['a token that is none', { SecretList: [], NextToken: `a\n${canary}` }],
    ['a token that is a number', { SecretList: [], NextToken: 7 }],
    ['a token that is an object', { SecretList: [], NextToken: { canary } }],
  ])('is a listing that is none: %s', async (_, body) => {
    await using aws = await startScriptedAws(() => ({ body }));
    const error = await errorOf(async () => (await aws.open()).list({ signal: signal(), limit: 10 }));
    expect(error.code).toBe('backend_malformed');
  });
});

describe('absence', () => {
  it('is what AWS calls a resource that is not found, and nothing else', async () => {
    await using aws = await startScriptedAws(() => awsError('ResourceNotFoundException', canary));
    const backend = await aws.open();
    expect(await backend.get('app/db', { signal: signal() })).toBeNull();
    expect(await backend.get('app/db', { signal: signal(), version: versionId })).toBeNull();
  });

  it('is not said of a name or a version that can be none, and nothing is asked', async () => {
    await using aws = await startScriptedAws(() => awsError('ResourceNotFoundException', canary));
    const backend = await aws.open({ prefix: 'prod/' });
    const bad = ['', 'prod/a b', 'prod/ä', 'arn:aws:secretsmanager:eu:1:secret:prod/x', 'dev/x', 'x'.repeat(513)];
    for (const key of bad)
      expect((await errorOf(() => backend.get(key, { signal: signal() }))).code).toBe('validation_failed');
    const error = await errorOf(() => backend.get('prod/x', { signal: signal(), version: 'AWSCURRENT' }));
    expect(error.code).toBe('validation_failed');
    expect(aws.requests).toHaveLength(0);
  });
});

describe('many secrets', () => {
  const answers: AwsScript = ({ action, input }) => {
    const ids = action === 'GetSecretValue' ? [String(input['SecretId'])] : (input['SecretIdList'] as string[]);
    if (action === 'GetSecretValue') return { body: secretOf(ids[0] ?? '', canary) };
    return { body: { SecretValues: ids.map((id) => secretOf(id, canary)), Errors: [] } };
  };
  const keys = Array.from({ length: 41 }, (_, index) => `app/${index}`);

  it('are read by twenty', async () => {
    await using aws = await startScriptedAws(answers);
    const backend = limited(await aws.open());
    const found = await backend.getMany(keys, { signal: signal() });
    expect([...found.values()].every((entry) => entry !== null && 'version' in entry)).toBe(true);
    expect(aws.requests.map(({ action }) => action).toSorted()).toEqual([
      'BatchGetSecretValue',
      'BatchGetSecretValue',
      'GetSecretValue',
    ]);
  });

  it('are read one by one where a batch is not allowed, which is asked once', async () => {
    await using aws = await startScriptedAws((request) =>
      request.action === 'BatchGetSecretValue' ? awsError('AccessDeniedException', canary) : answers(request),
    );
    const backend = await aws.open();
    for (const count of [3, 5]) {
      const found = await backend.getMany(keys.slice(0, count), { signal: signal() });
      expect(found.size).toBe(count);
    }
    expect(aws.requests.filter(({ action }) => action === 'BatchGetSecretValue')).toHaveLength(1);
    expect(aws.requests.filter(({ action }) => action === 'GetSecretValue')).toHaveLength(8);
  });

  it('of another label than AWSCURRENT are read one by one', async () => {
    await using aws = await startScriptedAws(answers);
    const backend = await aws.open({ versionStage: 'AWSPREVIOUS' });
    await backend.getMany(keys.slice(0, 3), { signal: signal() });
    expect(aws.requests.map(({ input }) => input['VersionStage'])).toEqual(Array(3).fill('AWSPREVIOUS'));
  });

  it('have each their own answer, what the batch left out too', async () => {
    await using aws = await startScriptedAws((request) => {
      if (request.action !== 'BatchGetSecretValue') return answers(request);
      return {
        body: {
          SecretValues: [secretOf('here', canary), { ...secretOf('odd', canary), SecretString: 1 }],
          Errors: [
            { SecretId: 'gone', ErrorCode: 'ResourceNotFoundException', Message: canary },
            { SecretId: 'deleted', ErrorCode: 'InvalidRequestException', Message: canary },
            { SecretId: 'denied', ErrorCode: 'AccessDeniedException', Message: canary },
            { SecretId: 'strange', ErrorCode: canary, Message: canary },
          ],
        },
      };
    });
    const backend = await aws.open();
    const wanted = ['here', 'odd', 'gone', 'deleted', 'denied', 'strange', 'left-out', 'not a name'];
    const found = await backend.getMany(wanted, { signal: signal() });
    const said = [...found].map(([key, answer]) => [
      key,
      answer instanceof StrongroomError ? answer.code : (answer?.shape ?? null),
    ]);
    expect(Object.fromEntries(said)).toEqual({
      here: 'text',
      odd: 'backend_malformed',
      gone: null,
      deleted: 'backend_deleted',
      denied: 'backend_denied',
      strange: 'backend_malformed',
      'left-out': 'text',
      'not a name': 'validation_failed',
    });
    for (const answer of found.values()) if (answer instanceof StrongroomError) assertHidden(answer, hidden);
  });

  it('are refused together when the identity is not known', async () => {
    await using aws = await startScriptedAws(() => awsError('UnrecognizedClientException', canary));
    const backend = await aws.open();
    const error = await errorOf(() => backend.getMany(['a', 'b'], { signal: signal() }));
    expect(error.code).toBe('backend_denied');
    expect(aws.requests).toHaveLength(1);
  });
});

describe('a listing', () => {
  it('goes from token to token, and holds names with the prefix only', async () => {
    await using aws = await startScriptedAws(({ input }) =>
      input['NextToken'] === 'second'
        ? { body: { SecretList: [{ Name: 'prod/b', LastChangedDate: 1_760_000_000 }] } }
        : { body: { SecretList: [{ Name: 'prod/a' }, { Name: 'other' }], NextToken: 'second' } },
    );
    const backend = await aws.open({ prefix: 'prod/' });
    const first = await backend.list({ signal: signal(), limit: 1000 });
    expect(first).toEqual({ items: [{ key: 'prod/a' }], nextCursor: 'second' });
    const second = await backend.list({ signal: signal(), limit: 5, cursor: 'second' });
    expect(second).toEqual({ items: [{ key: 'prod/b', updatedAt: 1_760_000_000_000 }], nextCursor: null });
    expect(aws.requests[0]?.input).toEqual({ MaxResults: 100, Filters: [{ Key: 'name', Values: ['prod/'] }] });
  });
});

describe('throttling', () => {
  it('is met with at most one retry for five calls, after the pause it asks for', async () => {
    await using aws = await startScriptedAws(() => ({
      ...awsError('ThrottlingException', canary),
      headers: { 'retry-after': '0' },
    }));
    const backend = limited(await aws.open(), { backoffMs: 1 });
    for (let call = 0; call < 50; call += 1)
      expect((await errorOf(() => backend.get('app/db', { signal: signal() }))).code).toBe('backend_throttled');
    expect(aws.requests.length).toBeLessThanOrEqual(60);
    expect(aws.requests.length).toBeGreaterThan(50);
  });

  it.each([
    ['7', 7],
    ['86400', 3600],
  ])('hands on the pause, within reason: %s', async (header, retryAfterSeconds) => {
    await using aws = await startScriptedAws(() => ({ status: 503, headers: { 'retry-after': header }, body: {} }));
    const error = await errorOf(async () => (await aws.open()).get('app/db', { signal: signal() }));
    expect(error).toMatchObject({ code: 'backend_unavailable', retryAfterSeconds });
  });
});

describe('a role', () => {
  const inAnHour = () => new Date(Date.now() + 3_600_000);
  const withRole: AwsScript = ({ action, input }) =>
    action === 'AssumeRole' ? assumedRole(inAnHour()) : { body: secretOf(String(input['SecretId']), canary) };
  const authentication = { method: 'assume-role', accessKeyId, roleArn, externalId: 'given-1' } as const;

  it('is assumed once for many calls, with the external id, and signs them', async () => {
    await using aws = await startScriptedAws(withRole);
    const backend = await aws.open({ authentication });
    await Promise.all(['a', 'b', 'c'].map((key) => backend.get(key, { signal: signal() })));
    const [assumed, ...reads] = aws.requests;
    expect(assumed?.input).toMatchObject({ RoleArn: roleArn, ExternalId: 'given-1', RoleSessionName: 'strongroom' });
    expect(assumed?.headers['authorization']).toContain(`Credential=${accessKeyId}/`);
    expect(reads).toHaveLength(3);
    for (const { headers } of reads) {
      expect(headers['authorization']).toContain('Credential=ASIACANARY0123456789/');
      expect(headers['x-amz-security-token']).toBe('canary-session-token-19ae');
    }
  });

  it('is assumed anew, once, when AWS says that its time is over', async () => {
    await using aws = await startScriptedAws((request) =>
      request.action === 'AssumeRole' ? withRole(request) : awsError('ExpiredTokenException', canary),
    );
    const backend = await aws.open({ authentication });
    const error = await errorOf(() => backend.get('a', { signal: signal() }));
    expect(error.code).toBe('backend_denied');
    expect(aws.requests.map(({ action }) => action)).toEqual([
      'AssumeRole',
      'GetSecretValue',
      'AssumeRole',
      'GetSecretValue',
    ]);
  });

  it.each<readonly [string, AwsAnswer, string]>([
    [
      'refused',
      {
        status: 403,
        body: `<ErrorResponse><Error><Code>AccessDenied</Code><Message>${canary}</Message></Error></ErrorResponse>`,
      },
      'backend_denied',
    ],
    ['a page', html, 'backend_malformed'],
    ['failing', { status: 500, body: canary }, 'backend_unavailable'],
    ['without a date', assumedRole(new Date(0), ''), 'backend_malformed'],
  ])('that is not given is a typed error: %s', async (_, answer, code) => {
    await using aws = await startScriptedAws(() => ({ ...answer, headers: { 'content-type': 'text/xml' } }));
    const backend = await aws.open({ authentication });
    const error = await errorOf(() => backend.get('a', { signal: signal() }));
    expect(error.code).toBe(code);
    expect(aws.requests.every(({ action }) => action === 'AssumeRole')).toBe(true);
  });

  it('is not had with the identity of the server unless a profile lends it', async () => {
    await using aws = await startScriptedAws(withRole);
    const error = await errorOf(() => aws.open({ authentication: { method: 'default-chain', roleArn } }));
    expect(error.code).toBe('state_conflict');
  });

  it('that a profile lends is assumed with the profile’s own external id', async () => {
    await using aws = await startScriptedAws(withRole);
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIASERVER0123456789';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'canary-server-key';
    try {
      const lent = { externalId: 'strongroom-1' };
      const backend = await aws.open({ authentication: { method: 'default-chain', roleArn } }, lent);
      await backend.get('a', { signal: signal() });
      expect(aws.requests[0]?.input).toMatchObject({ RoleArn: roleArn, ExternalId: 'strongroom-1' });
      expect(aws.requests[0]?.headers['authorization']).toContain('Credential=AKIASERVER0123456789/');
    } finally {
      delete process.env['AWS_ACCESS_KEY_ID'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
    }
  });
});

describe('a call', () => {
  it('ends with its signal, and after closing', async () => {
    await using aws = await startScriptedAws(() => ({ body: secretOf('a', canary) }));
    const backend = await aws.open();
    const aborted = AbortSignal.abort();
    expect((await errorOf(() => backend.get('a', { signal: aborted }))).code).toBe('deadline_exceeded');
    await backend.close();
    await backend.close();
    expect((await errorOf(() => backend.get('a', { signal: signal() }))).code).toBe('shutting_down');
  });

  it('goes nowhere that the guard does not allow', async () => {
    await using aws = await startScriptedAws(() => ({}));
    for (const endpoint of ['https://169.254.169.254', 'https://2130706433', 'http://10.0.0.1']) {
      const backend = await aws.open({ endpoint });
      expect((await errorOf(() => backend.get('a', { signal: signal() }))).code).toBe('egress_denied');
      const authentication = { method: 'assume-role', accessKeyId, roleArn } as const;
      const role = await aws.open({ stsEndpoint: endpoint, authentication });
      expect((await errorOf(() => role.get('a', { signal: signal() }))).code).toBe('egress_denied');
    }
  });

  it('ignores what the environment says about endpoints', async () => {
    await using aws = await startScriptedAws(() => ({ body: secretOf('a', canary) }));
    await using other = await startScriptedAws(() => ({}));
    process.env['AWS_ENDPOINT_URL'] = other.url;
    try {
      const backend = await aws.open();
      await backend.get('a', { signal: signal() });
      expect([aws.requests.length, other.requests.length]).toEqual([1, 0]);
    } finally {
      delete process.env['AWS_ENDPOINT_URL'];
    }
  });
});

describe('trying the connection', () => {
  const linesOf = async (script: AwsScript) => {
    await using aws = await startScriptedAws(script);
    const lines = await (await aws.open()).check({ signal: signal() });
    for (const line of lines) assertHidden(line, hidden);
    return Object.fromEntries(lines.map(({ step, outcome, code }) => [step, code ?? outcome]));
  };
  const reached = { address: 'ok', reachable: 'ok', tls: 'ok' };

  it('shows that all is well', async () => {
    const lines = await linesOf(({ action, input }) => {
      if (action === 'ListSecrets') return { body: { SecretList: [{ Name: 'a' }] } };
      return input['SecretId'] === 'a' ? { body: secretOf('a', canary) } : awsError('ResourceNotFoundException', '');
    });
    expect(lines).toEqual({ ...reached, login: 'ok', list: 'ok', read: 'ok' });
  });

  it('tells an unknown identity from one that may not', async () => {
    expect(await linesOf(() => awsError('UnrecognizedClientException', canary))).toEqual({
      ...reached,
      login: 'backend_denied',
      list: 'skipped',
      read: 'skipped',
    });
    expect(await linesOf(() => awsError('AccessDeniedException', canary))).toEqual({
      ...reached,
      login: 'ok',
      list: 'backend_denied',
      read: 'backend_denied',
    });
  });
});
