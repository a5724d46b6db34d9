// @needs schemathesis
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createToken } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandLine } from './command-line.ts';

/** Made by `npm run test:live`, which installs it. */
const program = process.env['STRONGROOM_LIVE_SCHEMATHESIS'] ?? '';
const seed = '20260101';
/** All together some ten minutes with nothing else on two cores. */
const passMilliseconds = 1_800_000;

/** Operations that are left out, and why. */
const leftOut: Readonly<Record<string, string>> = {
  deleteDomain: 'it would take away the domain that most operations are about',
};

const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
];

interface Pass {
  readonly as: 'administrator' | 'member';
  readonly mode: 'positive' | 'negative' | 'all';
  /** Whether every `{domain}` is one that exists. What is wrong with a domain’s name is then not looked at. */
  readonly inDomain: boolean;
  readonly checks: readonly string[];
  readonly phases: string;
  readonly maxExamples: number;
}

const everyPhase = 'examples,coverage,fuzzing';
const passes: readonly Pass[] = [
  { as: 'administrator', mode: 'positive', inDomain: true, checks, phases: everyPhase, maxExamples: 8 },
  {
    as: 'administrator',
    mode: 'negative',
    inDomain: false,
    checks: [...checks, 'negative_data_rejection'],
    phases: everyPhase,
    maxExamples: 6,
  },
  { as: 'member', mode: 'all', inDomain: true, checks, phases: everyPhase, maxExamples: 4 },
];

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly $ref?: string }[];
  readonly requestBody?: object;
}

function takesOnlyIfMatch({ parameters = [], requestBody }: Operation): boolean {
  return requestBody === undefined && parameters.length === 1 && parameters[0]?.$ref?.endsWith('/ifMatch') === true;
}

describe.skipIf(program === '')('schemathesis', () => {
  const line = new CommandLine();
  let operations: readonly Operation[] = [];
  const tokens = { administrator: createToken('srt_'), member: '' };

  beforeAll(async () => {
    const tokenFile = join(line.directory, 'token');
    writeFileSync(tokenFile, tokens.administrator, { mode: 0o600 });
    await line.serve({
      STRONGROOM_BOOTSTRAP_TOKEN_FILE: tokenFile,
      // What it makes up is never run, and it can't turn the feature off.
      STRONGROOM_RUNNER: 'none',
      STRONGROOM_FEATURES_SECRETSV2_ENABLED: 'true',
    });
    const document = await fetch(`${line.url}/v1/openapi.json`);
    const { paths } = (await document.json()) as {
      readonly paths: Readonly<Record<string, Record<string, Operation>>>;
    };
    operations = Object.values(paths).flatMap((path) => Object.values(path));
    await call('POST', '/v1/domains', { name: 'finance' });
    await call('POST', '/v1/domains/finance/secrets', { key: 'db-password', value: 'x' });
    const { id } = await call<{ id: string }>('POST', '/v1/domains/finance/service-accounts', { name: 'member' });
    const path = `/v1/domains/finance/service-accounts/${id}/tokens`;
    tokens.member = (await call<{ token: string }>('POST', path, {})).token;
    const principal = 'service-account:finance/member';
    await call('POST', '/v1/domains/finance/members', { principal, preset: 'MEMBER' });
    await call('POST', '/v1/domains/finance/grants', { principal, permission: 'RESOLVE' });
  });
  afterAll(() => line.close());

  async function call<Body>(method: string, path: string, body: unknown): Promise<Body> {
    const answer = await fetch(`${line.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${tokens.administrator}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Body;
  }

  // At the same time: making up the data is most of the work, and each pass does it on one core.
  it.concurrent.each(passes)('finds nothing as $as with $mode data', { timeout: passMilliseconds }, async (pass) => {
    const { code, output } = await run(pass);
    // Whole bodies of a megabyte are in there.
    const lines = output.split('\n').map((text) => text.slice(0, 300));
    const failures = lines.findIndex((text) => /^=+ FAILURES|^=+ ERRORS/.test(text));
    if (code !== 0) throw new Error(lines.slice(Math.max(0, failures)).join('\n').slice(0, 60_000));
    const [, selected, total] = /Selected: (\d+)\/(\d+)/.exec(output) ?? [];
    const out = excludedIn(pass).length;
    expect(Number(total)).toBeGreaterThan(0.98 * operations.length);
    expect(Number(selected)).toBe(Number(total) - out);
    expect(output).toContain(`Tested: ${selected}\n`);
  });

  function excludedIn({ mode }: Pass): readonly string[] {
    const ids = Object.keys(leftOut);
    // Whatever text stands in a header is a text: of these nothing can be wrong.
    return mode === 'negative' ? [...ids, ...operations.filter(takesOnlyIfMatch).map((each) => each.operationId)] : ids;
  }

  async function run(pass: Pass): Promise<{ readonly code: number | null; readonly output: string }> {
    const config = join(line.directory, `${pass.as}-${pass.mode}.toml`);
    writeFileSync(
      config,
      [
        'headers = { Authorization = "Bearer ${STRONGROOM_TOKEN}" }',
        '[checks.negative_data_rejection]',
        // Too large altogether, and a precondition that can't hold, are refusals too.
        'expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 429, 431, "5xx"]',
        ...(pass.inDomain ? ['[parameters]', '"path.domain" = "finance"'] : []),
      ].join('\n'),
    );
    const args = ['--no-color', '--config-file', config, 'run', `${line.url}/v1/openapi.json`];
    // One worker: with several, threads of the generator fall over each other in some versions of Python.
    const limits = [
      '--max-examples',
      String(pass.maxExamples),
      '--seed',
      seed,
      '--workers',
      '1',
      '--request-timeout',
      '30',
    ];
    // Of a form with few conditions most of what it makes up is right by chance, and is thrown away: no health of ours.
    const phases = [
      '--phases',
      pass.phases,
      '--mode',
      pass.mode,
      '--continue-on-failure',
      '--no-shrink',
      '--suppress-health-check',
      'filter_too_much',
    ];
    const excluded = excludedIn(pass).flatMap((id) => ['--exclude-operation-id', id]);
    const child = spawn(
      program,
      [...args, '--checks', pass.checks.join(','), ...limits, ...phases, ...excluded, '--generation-database', 'none'],
      {
        cwd: line.directory,
        env: { PATH: process.env['PATH'], HOME: line.directory, STRONGROOM_TOKEN: tokens[pass.as] },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, output };
  }
});
