import { describe, expect, it } from 'vitest';
import { ConfigurationError, loadConfiguration } from './load.ts';

function load(variables: Record<string, string>, file?: string) {
  const all = file === undefined ? variables : { ...variables, STRONGROOM_CONFIG: '/c.yaml' };
  return loadConfiguration({ variables: all, workingDirectory: '/srv' }, { readFile: () => Buffer.from(file ?? '') })
    .settings.managed;
}

function problemsOf(variables: Record<string, string>, file?: string): string {
  try {
    load(variables, file);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems.join('\n');
    throw error;
  }
  return '';
}

/** As OpenMetadata documents it. */
const block = `
clusterName: \${OPENMETADATA_CLUSTER_NAME:-openmetadata}
secretsManagerConfiguration:
  secretsManager: kubernetes
  prefix: \${SECRET_MANAGER_PREFIX:-""}
  tags: \${SECRET_MANAGER_TAGS:-[]}
  parameters:
    namespace: \${OM_SM_NAMESPACE:-"default"}
    kubeconfigPath: \${OM_SM_KUBECONFIG_PATH:-""}
    inCluster: \${OM_SM_IN_CLUSTER:-"false"}
`;

describe('settings of OpenMetadata', () => {
  it('are taken from its block as it is, with the names that its ingestion looks for', () => {
    const { stores, kubernetes } = load({}, block);
    expect(stores).toEqual({ admin: 'kubernetes', global: 'kubernetes', domains: 'kubernetes' });
    expect(kubernetes).toMatchObject({
      namespace: 'default',
      inCluster: false,
      tags: [],
      app: 'openmetadata',
      clusterName: 'openmetadata',
      naming: 'openmetadata',
    });
  });

  it('are taken from its variables, also through the block', () => {
    const variables = {
      SECRET_MANAGER: 'kubernetes',
      SECRET_MANAGER_PREFIX: 'prod',
      SECRET_MANAGER_TAGS: '[team:data,example.com/tier:1]',
      OM_SM_NAMESPACE: 'secrets',
      OM_SM_IN_CLUSTER: 'true',
      OM_SM_KUBECONFIG_PATH: '/etc/kubeconfig',
      OPENMETADATA_CLUSTER_NAME: 'lake',
    };
    const expected = {
      namespace: 'secrets',
      prefix: 'prod',
      inCluster: true,
      kubeconfigPath: '/etc/kubeconfig',
      tags: ['team:data', 'example.com/tier:1'],
    };
    expect(load(variables).kubernetes).toMatchObject({ ...expected, clusterName: 'strongroom', naming: 'unique' });
    expect(load(variables, block).kubernetes).toMatchObject({ ...expected, clusterName: 'lake' });
  });

  it('give way to our own names', () => {
    const own = `${block}kubernetes: { naming: unique, namespace: own }\n`;
    expect(load({}, own).kubernetes).toMatchObject({ naming: 'unique', namespace: 'own', app: 'openmetadata' });
    const variables = { OM_SM_NAMESPACE: 'theirs', STRONGROOM_KUBERNETES_NAMESPACE: 'ours' };
    expect(load(variables, own).kubernetes.namespace).toBe('ours');
  });

  it('are refused where they are wrong, each by its name', () => {
    expect(problemsOf({ OM_SM_IN_CLUSTER: 'yes' })).toBe('OM_SM_IN_CLUSTER must be true or false');
    expect(problemsOf({ SECRET_MANAGER: 'managed-aws' })).toBe('SECRET_MANAGER is not valid');
    expect(problemsOf({ OM_SM_NAMESPACE: 'Bad_One' })).toMatch(/^OM_SM_NAMESPACE is not of the form/);
    expect(problemsOf({ SECRET_MANAGER_TAGS: '[team:a b,app:x]' })).toBe(
      'kubernetes.tags: the tag "team:a b" has a value that can not be a label’s\n' +
        'kubernetes.tags: the tag "app:x" has the key app, which is a label of the store itself',
    );
    const wrong = 'secretsManagerConfiguration: { secretsManager: kubernetes, other: 1, parameters: { region: x } }';
    expect(problemsOf({}, wrong)).toBe(
      'secretsManagerConfiguration.other in the file is not a setting\n' +
        'secretsManagerConfiguration.parameters.region in the file is not a setting',
    );
    expect(problemsOf({}, 'secretsManagerConfiguration: 7')).toContain('must be a mapping');
  });
});
