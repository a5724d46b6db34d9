import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProcessSpec } from '../process-spec.ts';
import { javaOptionsFile } from './java-options.ts';
import { kinds, ownerManifest, problemsOf, secretManifest, type WorkloadIdentity } from './manifests.ts';

const canary = 'cnry-manifest-41c7';

function specOf(more: Partial<ProcessSpec> = {}): ProcessSpec {
  return { command: ['run'], environment: new Map([['PASSWORD', canary]]), files: [], ...more };
}

function identityOf(more: Partial<WorkloadIdentity> = {}): WorkloadIdentity {
  return {
    installationId: 'ins_1',
    runId: 'lch_1',
    surface: 'spark-job',
    configuration: 'etl',
    form: 'job',
    name: 'strongroom-lch-1',
    image: 'registry.example/job:1',
    options: {},
    ...more,
  };
}

/** As Kubernetes expands arguments (k8s.io/kubernetes/third_party/forked/golang/expansion). */
function expand(argument: string, variables: Readonly<Record<string, string>>): string {
  return argument.replaceAll(/\$(?:\$|\(([^)]*)\))/g, (all, name: string | undefined) =>
    name === undefined ? '$' : (variables[name] ?? all),
  );
}

interface PodSpec {
  readonly containers: readonly { readonly command: readonly string[] }[];
}

const programOf = (spec: ProcessSpec): readonly string[] => {
  const { spec: pod } = ownerManifest(identityOf({ form: 'pod' }), spec) as { readonly spec: PodSpec };
  return pod.containers[0]?.command ?? [];
};

describe('what is made in a cluster', () => {
  it('gives each argument as it is written, and no variable in it', () => {
    const argument = fc.string({ unit: fc.constantFrom('$', '(', ')', 'PASSWORD', 'a', '\\', '{', '}') });
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1, maxLength: 4 }), (command) => {
        const made = programOf(specOf({ command }));
        expect(made.map((each) => expand(each, { PASSWORD: canary }))).toEqual(command);
      }),
    );
  });

  it.each(['job', 'pod', 'spark-application'] as const)('has no value in the owner: %s', (form) => {
    const spark = {
      mainFile: 'job.py',
      arguments: [],
      properties: new Map([['spark.password', { text: canary, isSecret: true }]]),
    };
    const files = [{ name: 'conf/key', content: Buffer.from(canary), isSecret: true }];
    const spec = specOf({ files, ...(form === 'spark-application' ? { spark } : {}) });
    expect(JSON.stringify(ownerManifest(identityOf({ form }), spec))).not.toContain(canary);
    const secret = JSON.parse(secretManifest(identityOf({ form }), 'uid-1', spec)) as {
      readonly data: Readonly<Record<string, string>>;
    };
    expect(secret).toMatchObject({ immutable: true, metadata: { ownerReferences: [{ uid: 'uid-1', ...head(form) }] } });
    const values = Object.values(secret.data).map((text) => Buffer.from(text, 'base64').toString());
    expect(values.filter((text) => text.includes(canary))).toHaveLength(form === 'spark-application' ? 3 : 2);
  });

  it('finds a key of a Secret for every variable and every file, none twice', () => {
    const names = ['.env-0', 'env-0', 'a/b', 'a.b', 'file-1', `V${'x'.repeat(254)}`];
    const environment = new Map(names.slice(5).map((name) => [name, 'v']));
    const files = names.slice(1, 5).map((name) => ({ name, content: Buffer.from(name), isSecret: true }));
    const { data } = JSON.parse(secretManifest(identityOf(), 'uid-1', specOf({ environment, files }))) as {
      readonly data: Readonly<Record<string, string>>;
    };
    expect(Object.keys(data)).toHaveLength(5);
    for (const key of Object.keys(data)) expect(key).toMatch(/^(?!\.\.)[-._a-zA-Z0-9]{1,253}$/);
  });

  it('says what does not fit, and no word of it', () => {
    const large = specOf({ environment: new Map([['V', canary.repeat(60_000)]]) });
    expect(problemsOf(specOf({ environment: new Map([['V', 'x'.repeat(1_048_576)]]) }), 'job')).toEqual([]);
    expect(problemsOf(large, 'job').join()).toContain('which is what a Secret takes');
    expect(problemsOf(large, 'job').join()).not.toContain(canary);
    const properties = new Map([['spark.p', { text: `${canary}é`, isSecret: true }]]);
    const files = [{ name: 'a/b', content: Buffer.from(''), isSecret: false }];
    const spark = specOf({ files, spark: { mainFile: 'job.py', arguments: [], properties } });
    expect(problemsOf(spark, 'job')).toEqual([]);
    const problems = problemsOf(spark, 'spark-application');
    expect(problems.join()).toMatch(/a\/b.*spark\.p/);
    expect(problems.join()).not.toContain(canary);
    expect(problemsOf(specOf(), 'spark-application')).toHaveLength(1);
  });

  it('writes options as the JVM reads them', () => {
    const file = javaOptionsFile([
      ['spark.a', 'plain'],
      ['spark.b', 'a b\\c"d#e\n\tf'],
    ]).toString();
    expect(file).toBe('"-Dspark.a=plain"\n"-Dspark.b=a b\\\\c\\"d#e\\n\\tf"\n');
  });
});

function head(form: WorkloadIdentity['form']) {
  return { apiVersion: kinds[form].apiVersion, kind: kinds[form].kind };
}
