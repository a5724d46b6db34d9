import { METHODS } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RequestOptions, startTestServer, type TestServer } from '../../testing/app.ts';
import { allRoutes, Conformance } from '../../testing/conformance.ts';
import { oneAnswer } from '../../testing/shapes.ts';

const conformance = new Conformance();
const malformed = { rawBody: '{"name":' };
let test: TestServer;

beforeAll(async () => {
  test = await startTestServer({}, { onAnswer: conformance.see });
  await test.createDomain('finance');
});
afterAll(() => test.close());

const patternOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/\{[^}]*\}/g, '[^/]*')}$`);

describe('a method that a path does not have', () => {
  it('is refused alike, signed in or not, whatever the path names and the body holds', async () => {
    const paths = [...new Set(allRoutes.map(({ path }) => path))];
    // HEAD comes with GET.
    const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY'];
    const wrong: string[] = [];
    await Promise.all(
      paths.map(async (path) => {
        // `PATCH …/secrets/import` is a change of the secret `import`.
        const declared = new Set<string>(
          allRoutes.filter((route) => patternOf(route.path).test(path)).map(({ method }) => method),
        );
        for (const method of methods.filter((each) => !declared.has(each))) {
          const call = (about: string, domain: string, options: RequestOptions) => ({
            about,
            method,
            path: path.replace('{domain}', domain).replaceAll(/\{[^}]*\}/g, 'something'),
            options,
          });
          const answers = await oneAnswer(test, [
            call('anonymous', 'finance', { token: null }),
            call('administrator', 'finance', malformed),
            call('absent', 'absent', {}),
          ]);
          if (answers.join() !== '405') wrong.push(`${method} ${path}: ${answers.join()}`);
        }
      }),
    );
    expect(paths.length).toBeGreaterThan(90);
    expect(wrong).toEqual([]);
  });

  it('is nobody’s at an address that is nobody’s, and neither is any other', async () => {
    const statuses = await Promise.all(
      METHODS.filter((method) => method !== 'CONNECT').flatMap((method) =>
        ['/nowhere', '/v1/domains/finance/no-such-thing', '/v1'].map(async (path) => {
          const { status } = await test.request(method, path, method === 'GET' || method === 'HEAD' ? {} : malformed);
          return `${method} ${path} ${status}`;
        }),
      ),
    );
    expect(statuses.filter((text) => !text.endsWith(' 404'))).toEqual([]);
    expect(conformance.problems).toEqual([]);
  });
});
