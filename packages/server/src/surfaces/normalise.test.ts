import { formatReference, parseReference, StrongroomError } from '@strongroom/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ScopeRef } from '../access/types.ts';
import type { SparkJobInput } from './spark-job/document.ts';
import { normaliseSparkJob } from './spark-job/normalise.ts';
import { canonical } from './compare.ts';

const domain: ScopeRef = { id: 'dom_06h06v8ec5v1teh2blhid9v170', kind: 'domain', name: 'finance' };

function problemsOf(input: SparkJobInput): readonly { readonly pointer: string; readonly message: string }[] {
  try {
    normaliseSparkJob(input, domain);
  } catch (error) {
    if (error instanceof StrongroomError && error.code === 'validation_failed') return error.errors ?? [];
    throw error;
  }
  return [];
}

const pointersOf = (input: SparkJobInput): string[] => problemsOf(input).map(({ pointer }) => pointer);
const command = ['python3', 'report.py'];

describe('a reference in every accepted shape', () => {
  const key = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
  const variable = fc.stringMatching(/^[A-RT-Z_][A-Z0-9_]{0,10}$/);

  it('is saved as one document', () => {
    fc.assert(
      fc.property(key, variable, fc.constantFrom('domain', 'global'), (secret, name, scope) => {
        const id = scope === 'global' ? 'global' : domain.name;
        const shapes: SparkJobInput[] = [
          { name: 'j', command, environment: [{ name, secret: { scope, source: 'managed', key: secret } }] },
          { name: 'j', command, environment: [{ name, secret: { scope, key: secret } }] },
          { name: 'j', command, environment: [{ name, secret: `secret://${scope}/managed/${secret}` }] },
          {
            name: 'j',
            command,
            envSecrets: [{ key: name, secretObject: { key: secret, source: { type: 'KUBERNETES', id } } }],
          },
        ];
        const documents = new Set(shapes.map((shape) => canonical(normaliseSparkJob(shape, domain).document)));
        expect(documents.size).toBe(1);
        expect([...documents][0]).toContain(JSON.stringify({ key: secret, scope, source: 'managed' }));
      }),
    );
  });

  it('is refused where its text would be longer than a reference may be, in either form', () => {
    const key = Array.from({ length: 9 }, () => 'ü'.repeat(100)).join('/');
    const environment = [{ name: 'A', secret: { scope: 'domain', source: 'vault-prod', key } }] as const;
    expect(pointersOf({ name: 'j', command, environment: [...environment] })).toEqual(['/environment/0/secret']);
  });

  it('keeps keys of integrations as they are, in URI and object alike', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[ -.0-[\]-~]{1,12}$/), { minLength: 1, maxLength: 3 }),
        fc.option(fc.string({ minLength: 1, maxLength: 9, unit: 'grapheme-ascii' })),
        (segments, field) => {
          fc.pre(segments.every((segment) => !/^\.{1,2}$/.test(segment) && !segment.includes('%')));
          const reference = {
            scope: 'domain',
            source: 'vault-prod',
            key: segments.join('/'),
            ...(field === null ? {} : { field }),
          } as const;
          const text = formatReference(reference);
          expect(parseReference(text)).toEqual(reference);
          const asText = normaliseSparkJob({ name: 'j', command, environment: [{ name: 'A', secret: text }] }, domain);
          const asObject = normaliseSparkJob(
            { name: 'j', command, environment: [{ name: 'A', secret: reference }] },
            domain,
          );
          expect(asText.document).toEqual(asObject.document);
        },
      ),
    );
  });

  it('reads the ids of IOMETE in the caller’s own domain only', () => {
    const secrets = (type: 'KUBERNETES' | 'VAULT', id?: string): SparkJobInput => ({
      name: 'j',
      command,
      sparkConfSecrets: [
        { key: 'spark.x', secretObject: { key: 'k', source: { type, ...(id === undefined ? {} : { id }) } } },
      ],
    });
    for (const id of [undefined, 'finance', domain.id, 'iomete-secret-store-finance', 'global', 'iomete-secret-store'])
      expect(pointersOf(secrets('KUBERNETES', id))).toEqual([]);
    for (const id of ['other', 'iomete-secret-store-other', 'admin', 'dom_admin', ''])
      expect(pointersOf(secrets('KUBERNETES', id))).toEqual(['/sparkConfSecrets/0/secretObject/source/id']);
    expect(pointersOf(secrets('VAULT', 'managed'))).toEqual(['/sparkConfSecrets/0/secretObject/source/id']);
    const { document, origins } = normaliseSparkJob(secrets('VAULT', 'vault-prod'), domain);
    expect(document.sparkConfig).toEqual([
      { name: 'spark.x', secret: { scope: 'domain', source: 'vault-prod', key: 'k' } },
    ]);
    expect(origins.get('/sparkConfig/0/secret')).toBe('/sparkConfSecrets/0/secretObject');
  });
});

describe('what a Spark job is refused for', () => {
  it.each<[string, SparkJobInput, string[]]>([
    ['neither command nor spark', { name: 'j' }, ['/command']],
    ['both', { name: 'j', command, spark: { mainFile: 'a.py' } }, ['/command']],
    ['a class without its jar', { name: 'j', spark: { mainClass: 'a.B' } }, ['/spark']],
    ['an application that is an option', { name: 'j', spark: { mainFile: '--conf' } }, ['/spark/mainFile']],
    [
      'a dependency that is two',
      { name: 'j', spark: { mainFile: 'a.py', dependencies: { jars: ['a.jar,b.jar'] } } },
      ['/spark/dependencies/jars/0'],
    ],
    ['a reference in the command', { name: 'j', command: ['psql', 'secret://domain/managed/db'] }, ['/command/1']],
    ['a placeholder in the command', { name: 'j', command: ['psql', '-p${secrets.db}'] }, ['/command/1']],
    [
      'a placeholder in arguments',
      { name: 'j', spark: { mainFile: 'a.py', arguments: ['${secrets.db}'] } },
      ['/spark/arguments/0'],
    ],
    [
      'a placeholder in java options',
      { name: 'j', spark: { mainFile: 'a.py', javaOptions: '-Dp=${secrets.db}' } },
      ['/spark/javaOptions'],
    ],
    [
      'a secret in what Spark puts on a command line or into a pod',
      {
        name: 'j',
        spark: { mainFile: 'a.py' },
        sparkConfig: [
          { name: 'spark.driver.extraJavaOptions', secret: 'secret://domain/managed/k' },
          { name: 'spark.executor.defaultJavaOptions', value: '-Dp=${secrets.db}' },
          { name: 'spark.network.crypto.k', secret: 'secret://domain/managed/k' },
          { name: 'spark.ssl.keyStore', value: '${secrets.db}' },
          { name: 'spark.kubernetes.executor.annotation.k', secret: 'secret://domain/managed/k' },
          // Spark keeps these from it, and what is no secret may be seen.
          { name: 'spark.ssl.keyPassword', secret: 'secret://domain/managed/k' },
          { name: 'spark.authenticate.secret', secret: 'secret://domain/managed/k' },
          { name: 'spark.executorEnv.TOKEN', secret: 'secret://domain/managed/k' },
          { name: 'spark.executor.extraJavaOptions', value: '-Xss4m' },
          { name: 'spark.driver.port', value: '7077' },
        ],
        environment: [
          { name: 'SPARK_SUBMIT_OPTS', secret: 'secret://domain/managed/k' },
          { name: 'PYSPARK_SUBMIT_ARGS', value: '--conf spark.k=${secrets.db}' },
          { name: 'SPARK_DAEMON_JAVA_OPTS', value: '-Xmx1g' },
        ],
        sparkConfSecrets: [
          { key: 'spark.yarn.am.extraJavaOptions', secretObject: { key: 'k', source: { type: 'KUBERNETES' } } },
        ],
      },
      [
        '/environment/0/secret',
        '/environment/1/value',
        ...['0/secret', '1/value', '2/secret', '3/value', '4/secret'].map((place) => `/sparkConfig/${place}`),
        '/sparkConfSecrets/0/secretObject',
      ],
    ],
    ['a placeholder in the image', { name: 'j', command, image: 'i:${secrets.db}' }, ['/image']],
    ['NUL in the command', { name: 'j', command: ['a\u0000b'] }, ['/command/0']],
    [
      'a lone surrogate',
      { name: 'j', command, environment: [{ name: 'A', value: '\ud800' }] },
      ['/environment/0/value'],
    ],
    [
      'value and secret',
      { name: 'j', command, environment: [{ name: 'A', value: 'v', secret: 'secret://domain/managed/k' }] },
      ['/environment/0'],
    ],
    ['neither value nor secret', { name: 'j', command, environment: [{ name: 'A' }] }, ['/environment/0']],
    [
      'a name twice',
      {
        name: 'j',
        command,
        environment: [{ name: 'A', value: '1' }],
        envSecrets: [{ key: 'A', secretObject: { key: 'k', source: { type: 'KUBERNETES' } } }],
      },
      ['/envSecrets/0/key'],
    ],
    [
      'a reserved variable',
      {
        name: 'j',
        command,
        envSecrets: [{ key: 'STRONGROOM_RUN_ID', secretObject: { key: 'k', source: { type: 'KUBERNETES' } } }],
      },
      ['/envSecrets/0/key'],
    ],
    [
      'an admin secret',
      { name: 'j', command, environment: [{ name: 'A', secret: 'secret://admin/managed/k' }] },
      ['/environment/0/secret'],
    ],
    [
      'another domain',
      { name: 'j', command, environment: [{ name: 'A', secret: 'secret://other/managed/k' }] },
      ['/environment/0/secret'],
    ],
    [
      'a reference as a value',
      { name: 'j', command, environment: [{ name: 'A', value: 'secret://domain/managed/k' }] },
      ['/environment/0/value'],
    ],
    [
      'a reference inside a value',
      { name: 'j', command, sparkConfig: [{ name: 'spark.u', value: 'jdbc:x?password=secret://global/managed/k' }] },
      ['/sparkConfig/0/value'],
    ],
    [
      'an open placeholder',
      { name: 'j', command, environment: [{ name: 'A', value: '${secrets.db' }] },
      ['/environment/0/value'],
    ],
    [
      'a placeholder of no key',
      { name: 'j', command, environment: [{ name: 'A', value: '${secrets.a b}' }] },
      ['/environment/0/value'],
    ],
    [
      'a template variable that is not there',
      { name: 'j', command, files: [{ name: 'a.txt', content: '${NOPE}', template: true }] },
      ['/files/0/content'],
    ],
    [
      'a template that is a secret',
      { name: 'j', command, files: [{ name: 'a.txt', secret: 'secret://domain/managed/k', template: true }] },
      ['/files/0/template'],
    ],
    [
      'a reference that is all of a file',
      { name: 'j', command, files: [{ name: 'a.txt', content: 'secret://domain/managed/k\n' }] },
      ['/files/0/content'],
    ],
    [
      'a reference in a template',
      { name: 'j', command, files: [{ name: 'a.ini', content: 'a = secret://domain/managed/k', template: true }] },
      ['/files/0/content'],
    ],
    [
      'a placeholder outside a JSON string',
      { name: 'j', command, files: [{ name: 'a.json', content: '{"a": ${secrets.k}}' }] },
      ['/files/0/content'],
    ],
    [
      'a file in the way of another',
      {
        name: 'j',
        command,
        files: [
          { name: 'a', content: '' },
          { name: 'A/b', content: '' },
        ],
      },
      ['/files/1/name'],
    ],
    ['our own file', { name: 'j', command, files: [{ name: 'spark.properties', content: '' }] }, ['/files/0/name']],
    ['a storage configuration twice', { name: 'j', command, storageConfigs: ['lake', 'lake'] }, ['/storageConfigs/1']],
    [
      'a folder for a pod',
      { name: 'j', command, runner: 'kubernetes', workingDirectory: '/srv' },
      ['/workingDirectory'],
    ],
  ])('%s', (_name, input, pointers) => {
    expect(pointersOf(input)).toEqual(pointers);
  });

  it('names all bad fields at once and repeats no value', () => {
    const value = 'secret://domain/managed/hunter2-pasted';
    const problems = problemsOf({
      name: 'j',
      command: ['${secrets.hunter2}'],
      environment: [
        { name: 'A', value },
        { name: 'B', secret: 'hunter2' },
      ],
    });
    expect(problems.map(({ pointer }) => pointer)).toEqual([
      '/command/0',
      '/environment/0/value',
      '/environment/1/secret',
    ]);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });
});

describe('a program in a file', () => {
  it('may speak of references, which stay as they are', () => {
    const content = 'import strongroom\nread("secret://domain/managed/db-password")\n';
    const { document, warnings } = normaliseSparkJob(
      { name: 'j', command, files: [{ name: 'a.py', content }] },
      domain,
    );
    expect(document.files).toEqual([{ name: 'a.py', content }]);
    expect(warnings).toMatchObject([{ pointer: '/files/0/content', code: 'reference-text' }]);
    expect(pointersOf({ name: 'j', command, files: [{ name: 'a.py', content: `${content}\0` }] })).toEqual([
      '/files/0/content',
    ]);
  });
});

describe('what is for the Kubernetes runner', () => {
  const kubernetes = { namespace: 'jobs', serviceAccount: 'spark' };

  it('is saved as it is', () => {
    const { document, warnings } = normaliseSparkJob(
      { name: 'job', command, image: 'job:1', runner: 'kubernetes', kubernetes },
      domain,
    );
    expect(document).toMatchObject({ image: 'job:1', runner: 'kubernetes', kubernetes });
    expect(warnings).toEqual([]);
  });

  it('is kept with a warning where another runner is the one', () => {
    const { document, warnings } = normaliseSparkJob({ name: 'job', command, image: 'job:1', kubernetes }, domain);
    expect(document).toMatchObject({ image: 'job:1', kubernetes });
    expect(warnings.map(({ pointer, code }) => [pointer, code])).toEqual([
      ['/image', 'ignored-here'],
      ['/kubernetes', 'ignored-here'],
    ]);
  });

  it('is a SparkApplication for Spark programs alone', () => {
    const form = { ...kubernetes, form: 'spark-application' as const };
    const image = 'secret://domain/managed/x';
    expect(pointersOf({ name: 'job', command, runner: 'kubernetes', kubernetes: form })).toEqual(['/kubernetes/form']);
    expect(pointersOf({ name: 'job', spark: { mainFile: 'a.py' }, kubernetes: form })).toEqual([]);
    expect(pointersOf({ name: 'job', command, runner: 'kubernetes', image })).toEqual(['/image']);
  });
});
