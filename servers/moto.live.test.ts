// @needs moto
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HttpAnswer, httpRequest } from './http-request.ts';
import { type Moto, startMoto } from './moto.ts';

let moto: Moto;
beforeAll(async () => {
  moto = await startMoto();
});
afterAll(() => moto.stop());

const region = 'us-east-1';
const service = 'secretsmanager';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function secretsManager<Body>(action: string, input: object): Promise<HttpAnswer<Body>> {
  const body = JSON.stringify(input);
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const day = time.slice(0, 8);
  const headers: Record<string, string> = {
    'content-type': 'application/x-amz-json-1.1',
    host: new URL(moto.url).host,
    'x-amz-date': time,
    'x-amz-target': `secretsmanager.${action}`,
  };
  const names = Object.keys(headers).join(';');
  const canonical = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = ['POST', '/', '', canonical.join(''), names, sha256(body)].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, 'AWS4any');
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(request)].join('\n')).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=any/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return httpRequest<Body>(`${moto.url}/`, { method: 'POST', headers: { ...headers, authorization }, body });
}

it('keeps a secret, its versions and its stages', async () => {
  const [first, second] = [randomUUID(), randomUUID()];
  const made = await secretsManager<{ ARN: string }>('CreateSecret', { Name: 'finance/db', SecretString: first });
  expect(made.body.ARN).toMatch(/^arn:aws:secretsmanager:us-east-1:\d{12}:secret:finance\/db-/);
  await secretsManager('PutSecretValue', { SecretId: 'finance/db', SecretString: second });
  const current = await secretsManager('GetSecretValue', { SecretId: 'finance/db' });
  expect(current.body).toMatchObject({ SecretString: second, VersionStages: ['AWSCURRENT'] });
  const previous = await secretsManager('GetSecretValue', { SecretId: 'finance/db', VersionStage: 'AWSPREVIOUS' });
  expect(previous.body).toMatchObject({ SecretString: first });
});

it('forgets everything when it is reset', async () => {
  await secretsManager('CreateSecret', { Name: 'short-lived', SecretString: 'x' });
  await moto.reset();
  const answer = await secretsManager<{ __type: string }>('GetSecretValue', { SecretId: 'short-lived' });
  // AWS answers 400 here and moto 404; clients go by the type.
  expect(answer.body.__type).toBe('ResourceNotFoundException');
});
