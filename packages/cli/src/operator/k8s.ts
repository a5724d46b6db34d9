import { kubernetesRbac, kubernetesRunnerRbac, scopeObjectName } from '@strongroom/contract/core';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { addKubernetesClusterCommands } from '../commands/kubernetes-cluster.ts';
import { UsageError } from '../errors.ts';
import { collect } from '../values.ts';

interface RbacOptions {
  readonly namespace: string;
  readonly secretsNamespace?: string;
  readonly name: string;
  readonly scopeObjects?: string;
  readonly domain?: readonly string[];
  readonly runner?: readonly string[];
}

/** DNS labels; what is put behind the name has to fit into 63 characters. */
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const maxNameLength = 40;

export function addK8sCommands(program: Command, cli: Cli): void {
  const k8s = group(program, 'k8s', 'clusters that domains run in, and what the store in Kubernetes needs');
  k8s
    .command('rbac')
    .description(
      'print ServiceAccount, Role and RoleBinding for the server and for workloads, as YAML; asks no cluster',
    )
    .option('-n, --namespace <namespace>', 'where the server and the workloads run', 'default')
    .option('--secrets-namespace <namespace>', 'where the Secrets are, when that is another one')
    .option('--name <name>', 'what the names of the accounts begin with', 'strongroom')
    .option('--scope-objects <name>', 'layout scope-objects: kubernetes.name; the roles then name each Secret')
    .option('--domain <domain>', 'a domain whose Secrets are named, too; repeatable', collect)
    .option(
      '--runner <namespace>',
      'a namespace where the Kubernetes runner runs jobs: the roles for that in place of the store’s; repeatable',
      collect,
    )
    .addHelpText(
      'after',
      '\nThe server may create, get, update and delete Secrets of that one namespace, workloads may get them; nobody\nmay list them. With --scope-objects the roles are held to the Secrets of Global, Admin and the domains that are\nnamed, what integrations sign in with included, without delete, and workloads may get those of the domains alone. Leave the runtime’s part out where no workload reads Secrets by itself.\n\n  strongroom k8s rbac --namespace strongroom --secrets-namespace strongroom-secrets | kubectl apply -f -\n  strongroom k8s rbac --namespace iomete --scope-objects iomete --domain finance | kubectl apply -f -\n  strongroom k8s rbac --namespace strongroom --runner jobs --runner reports | kubectl apply -f -',
    )
    .action(
      cli.action(
        async (
          { io, output },
          { namespace, secretsNamespace = namespace, name, scopeObjects, domain = [], runner = [] }: RbacOptions,
        ) => {
          const names = Object.entries({ namespace, 'secrets-namespace': secretsNamespace, name });
          for (const [option, value] of [...names, ...runner.map((each) => ['runner', each] as const)])
            if (!label.test(value)) throw new UsageError(`--${option} is not a name in Kubernetes`);
          if (name.length > maxNameLength) throw new UsageError(`--name has more than ${maxNameLength} characters`);
          if (scopeObjects === undefined && domain.length > 0)
            throw new UsageError('--domain goes with --scope-objects');
          if (scopeObjects !== undefined && runner.length > 0)
            throw new UsageError('--scope-objects is for the store: ask for --runner by itself');
          const secrets = scopeObjects === undefined ? {} : { secrets: namesOf(scopeObjects, domain) };
          const { stringify } = await import('yaml');
          const manifests =
            runner.length > 0
              ? kubernetesRunnerRbac({ namespace, name, runnerNamespaces: runner })
              : kubernetesRbac({ namespace, secretsNamespace, name, ...secrets });
          output.answer(manifests, () => {
            io.stdout.write(manifests.map((manifest) => stringify(manifest)).join('---\n'));
          });
          return undefined;
        },
      ),
    );
  addKubernetesClusterCommands(k8s, cli);
}

/** All objects of the scopes for the server; for workloads those that have secrets of the domains. */
function namesOf(name: string, domains: readonly string[]) {
  if (!label.test(name)) throw new UsageError('--scope-objects is not a name in Kubernetes');
  const scopes = [
    { kind: 'global' },
    { kind: 'admin' },
    ...domains.map((domain) => ({ kind: 'domain', name: domain }) as const),
  ] as const;
  const kinds = ['secret-store', 'vault-credentials'] as const;
  return {
    server: kinds.flatMap((kind) => scopes.map((scope) => scopeObjectName(name, kind, scope))),
    runtime: domains.map((domain) => scopeObjectName(name, 'secret-store', { kind: 'domain', name: domain })),
  };
}
