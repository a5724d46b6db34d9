import { kubernetesRbac } from '@strongroom/contract/core';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';

interface RbacOptions {
  readonly namespace: string;
  readonly secretsNamespace?: string;
  readonly name: string;
}

/** DNS labels; what is put behind the name has to fit into 63 characters. */
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const maxNameLength = 40;

export function addK8sCommands(program: Command, cli: Cli): void {
  const k8s = group(program, 'k8s', 'prepare a cluster for the store in Kubernetes');
  k8s
    .command('rbac')
    .description(
      'print ServiceAccount, Role and RoleBinding for the server and for workloads, as YAML; asks no cluster',
    )
    .option('-n, --namespace <namespace>', 'where the server and the workloads run', 'default')
    .option('--secrets-namespace <namespace>', 'where the Secrets are, when that is another one')
    .option('--name <name>', 'what the names begin with', 'strongroom')
    .addHelpText(
      'after',
      '\nThe server may create, get, update and delete Secrets of that one namespace, workloads may get them; nobody\nmay list them. Leave the runtime’s part out where no workload reads Secrets by itself.\n\n  strongroom k8s rbac --namespace strongroom --secrets-namespace strongroom-secrets | kubectl apply -f -',
    )
    .action(
      cli.action(async ({ io, output }, { namespace, secretsNamespace = namespace, name }: RbacOptions) => {
        for (const [option, value] of Object.entries({ namespace, 'secrets-namespace': secretsNamespace, name }))
          if (!label.test(value)) throw new UsageError(`--${option} is not a name in Kubernetes`);
        if (name.length > maxNameLength) throw new UsageError(`--name has more than ${maxNameLength} characters`);
        const { stringify } = await import('yaml');
        const manifests = kubernetesRbac({ namespace, secretsNamespace, name });
        output.answer(manifests, () => {
          io.stdout.write(manifests.map((manifest) => stringify(manifest)).join('---\n'));
        });
        return undefined;
      }),
    );
}
