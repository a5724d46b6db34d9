import type { CallInput, CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize, wholeOf } from '../lists.ts';
import { count, localTime } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { type AgreedOption, agreeToEnd, answerImpact } from './impact.ts';

type Cluster = CallResult<'showCluster'>;
type Access = CallInput<'createCluster'>['body']['access'];

const maxAuthorityBytes = 65_536;

/** Clusters of Kubernetes that domains run workloads in, and which of their namespaces belong to whom. */
export function addKubernetesClusterCommands(k8s: Command, cli: Cli): void {
  const cluster = group(k8s, 'cluster', 'clusters that domains run workloads in, by who they are');
  addWriteCommands(cluster, cli);
  addViewCommands(cluster, cli);
  addTestCommand(cluster, cli);
  addDeleteCommand(cluster, cli);
  addTargetCommands(group(k8s, 'target', 'namespaces of a cluster, each of which belongs to one domain'), cli);
}

interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly token?: string;
  readonly address?: string;
  readonly caFile?: string;
  readonly inCluster?: true;
  readonly issuer?: string;
  readonly audience?: string;
  readonly description?: string;
}

function addClusterOptions(command: Command): Command {
  return command
    .option('--kubeconfig <reference>', 'sign in by a kubeconfig: the secret of the admin scope that holds it')
    .option('--token <reference>', 'sign in by a bearer token: the secret that holds it; goes with --address')
    .option('--address <url>', 'of the API server: https://HOST:PORT')
    .option('--ca-file <file>', "PEM of the API server's authority; without it those of the system")
    .option('--in-cluster', "sign in as the server's own pod, where the operator allows it")
    .option('--issuer <issuer>', 'iss of its tokens; without it what the cluster says of itself')
    .option('--audience <audience>', 'aud of the tokens that its workloads send')
    .option('--description <text>', 'what it is for');
}

/** How the server signs in there; `undefined` when nothing says so. */
async function accessOf(io: Io, options: ClusterOptions): Promise<Access | undefined> {
  const { kubeconfig, token, address, caFile, inCluster } = options;
  const ways = [kubeconfig, token, inCluster].filter((way) => way !== undefined);
  if (ways.length > 1) throw new UsageError('give one of --kubeconfig, --token and --in-cluster');
  if (token === undefined && (address !== undefined || caFile !== undefined))
    throw new UsageError('--address and --ca-file go with --token');
  if (inCluster === true) return { kind: 'in-cluster' };
  if (kubeconfig !== undefined) return { kind: 'kubeconfig', secret: referenceOf('--kubeconfig', kubeconfig) };
  if (token === undefined) return undefined;
  const secret = referenceOf('--token', token);
  if (address === undefined) throw new UsageError('--token goes with --address');
  if (caFile === undefined) return { kind: 'token', address, secret };
  const caCertificate = utf8Text(await readInput(io, caFile, maxAuthorityBytes));
  if (caCertificate === undefined) throw new UsageError(`${caFile} is not UTF-8 text`);
  return { kind: 'token', address, caCertificate, secret };
}

/** @throws UsageError that doesn't repeat what was typed: it may be the credential itself */
function referenceOf(option: string, text: string): string {
  if (text.startsWith('secret://')) return text;
  throw new UsageError(
    `${option} takes a reference, never a credential: other users of this machine see arguments`,
    'Make a secret of it with strongroom secret create --admin, and give secret://admin/managed/KEY.',
  );
}

function addWriteCommands(cluster: Command, cli: Cli): void {
  addClusterOptions(
    cluster.command('register <name>').description('register a cluster; it is asked who it is, and keeps being it'),
  )
    .addHelpText(
      'after',
      '\n  strongroom secret create prod-token --admin --value-file token\n  strongroom k8s cluster register prod --token secret://admin/managed/prod-token --address https://10.1.2.3:6443 --ca-file ca.pem',
    )
    .action(
      cli.action(async ({ io, connect, output }, name: string, options: ClusterOptions) => {
        const access = await accessOf(io, options);
        if (access === undefined)
          throw new UsageError('it is not said how to sign in', 'Add --kubeconfig, --token or --in-cluster.');
        const made = await (await connect()).createCluster({ body: { name, access, ...labels(options) } });
        output.answer(made, () => output.line(`registered cluster ${made.name}, audience ${made.audience}`));
        return undefined;
      }),
    );
  addClusterOptions(
    cluster
      .command('edit <kubernetes-cluster>')
      .description('change a cluster; another way to it must lead to the same cluster'),
  ).action(
    cli.action(async ({ io, connect, output }, name: string, options: ClusterOptions) => {
      const access = await accessOf(io, options);
      const body = { ...(access === undefined ? {} : { access }), ...labels(options) };
      if (Object.keys(body).length === 0) throw new UsageError('there is nothing to change');
      const client = await connect();
      const params = { cluster: name };
      const { revision } = await client.showCluster({ params });
      const changed = await client.updateCluster({ params, body, ifMatch: revision });
      output.answer(changed, () => output.line(`changed cluster ${changed.name}, revision ${changed.revision}`));
      return undefined;
    }),
  );
}

function labels({ issuer, audience, description }: ClusterOptions) {
  return {
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
    ...(description === undefined ? {} : { description }),
  };
}

function addViewCommands(cluster: Command, cli: Cli): void {
  addListOptions(cluster.command('list').description('list clusters')).action(
    cli.action(async ({ connect, output }, { limit, search }: ListOptions) => {
      const query = { limit: pageSize(limit), ...(search === undefined ? {} : { q: search }) };
      const items = await listUpTo(await connect(), output, 'listClusters', { query }, limit);
      output.answer({ items }, () => {
        output.list(
          'no cluster is registered',
          [{ title: 'NAME' }, { title: 'GIVEN' }, { title: 'AUDIENCE', canWrap: true }, { title: 'UID' }],
          items.map((each) => [each.name, count(each.targets, 'namespace'), each.audience, each.uid]),
        );
      });
      return undefined;
    }),
  );
  cluster
    .command('show <kubernetes-cluster>')
    .description('show a cluster: who it is, and how the server signs in there')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const found = await (await connect()).showCluster({ params: { cluster: name } });
        output.answer(found, () => printCluster(output, found));
        return undefined;
      }),
    );
}

function printCluster(output: Cli['output'], found: Cluster): void {
  const { access } = found;
  output.facts({
    name: found.name,
    id: found.id,
    description: found.description === '' ? undefined : found.description,
    'signs in by': access.kind,
    'with the secret': access.kind === 'in-cluster' ? undefined : access.secret,
    address: access.kind === 'token' ? access.address : undefined,
    uid: found.uid,
    issuer: found.issuer,
    audience: found.audience,
    'given to domains': count(found.targets, 'namespace'),
    updated: `${localTime(found.updatedAt)} by ${found.updatedBy}`,
    revision: `${found.revision}`,
  });
}

function addTestCommand(cluster: Command, cli: Cli): void {
  cluster
    .command('test <kubernetes-cluster>')
    .description(
      'try the way to a cluster, who it is, and whether it checks tokens for us; exit code 7 when a step fails',
    )
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const tested = await (await connect()).testCluster({ params: { cluster: name } });
        output.answer(tested, () =>
          output.table(
            [
              { title: 'STEP' },
              { title: 'OUTCOME' },
              { title: 'CODE' },
              { title: 'MESSAGE', canWrap: true, isOptional: true },
            ],
            tested.lines.map(({ step, outcome, code, message }) => [step, outcome, code ?? '', message]),
          ),
        );
        return tested.ok ? undefined : exitCode.check;
      }),
    );
}

function addDeleteCommand(cluster: Command, cli: Cli): void {
  cluster
    .command('delete <kubernetes-cluster>')
    .description('forget a cluster none of whose namespaces belongs to a domain; nothing in it is touched')
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, name: string, { yes }: { readonly yes?: true }) => {
        const client = await connect();
        const params = { cluster: name };
        const { revision } = await client.showCluster({ params });
        if (yes !== true) await confirm(io, `forget the cluster ${name}?`);
        await client.deleteCluster({ params, ifMatch: revision });
        output.answer({ cluster: name, deleted: true }, () => output.line(`forgot cluster ${name}`));
        return undefined;
      }),
    );
}

function addTargetCommands(target: Command, cli: Cli): void {
  addListOptions(
    target.command('list <kubernetes-cluster>').description('list namespaces of a cluster that belong to a domain'),
  ).action(
    cli.action(async ({ connect, output }, cluster: string, { limit, search }: ListOptions) => {
      const query = { limit: pageSize(limit), ...(search === undefined ? {} : { q: search }) };
      const input = { params: { cluster }, query };
      const items = await listUpTo(await connect(), output, 'listClusterTargets', input, limit);
      output.answer({ items }, () => {
        output.list(
          `no namespace of ${cluster} belongs to a domain`,
          [{ title: 'NAMESPACE' }, { title: 'DOMAIN' }, { title: 'SINCE' }, { title: 'BY', canCut: true }],
          items.map((each) => [each.namespace, each.domain, localTime(each.createdAt), each.createdBy]),
        );
      });
      return undefined;
    }),
  );
  target
    .command('give <kubernetes-cluster> <namespace> <domain>')
    .description('give a namespace of a cluster to a domain, and to no other')
    .action(
      cli.action(async ({ connect, output }, cluster: string, namespace: string, domain: string) => {
        const given = await (
          await connect()
        ).putClusterTarget({
          params: { cluster, namespace },
          body: { domain },
        });
        output.answer(given, () => output.line(`${given.cluster}/${given.namespace} belongs to ${given.domain}`));
        return undefined;
      }),
    );
  target
    .command('impact <kubernetes-cluster> <namespace>')
    .description('show what taking a namespace from its domain would hit: what would run there')
    .action(
      cli.action(async ({ connect, output }, cluster: string, namespace: string) => {
        const client = await connect();
        answerImpact(output, await client.showClusterTargetImpact({ params: { cluster, namespace } }));
        return undefined;
      }),
    );
  target
    .command('take <kubernetes-cluster> <namespace>')
    .description('take a namespace from its domain; what runs there goes on')
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async (session, cluster: string, namespace: string, { yes }: AgreedOption) => {
        const { connect, output } = session;
        const client = await connect();
        const params = { cluster, namespace };
        const change = `take ${cluster}/${namespace} from its domain`;
        await agreeToEnd(session, () => client.showClusterTargetImpact({ params }), change, yes);
        await client.deleteClusterTarget({ params });
        output.answer({ cluster, namespace, deleted: true }, () =>
          output.line(`${cluster}/${namespace} belongs to no domain`),
        );
        return undefined;
      }),
    );
}

/** `domain targets`: what a domain may run in. */
export function addTargetsOfDomain(domain: Command, cli: Cli): void {
  domain
    .command('targets <domain>')
    .description('list clusters and namespaces of Kubernetes that its workloads may run in')
    .action(
      cli.action(async ({ connect, output }, name: string) => {
        const client = await connect();
        const items = await wholeOf(client.items('listDomainTargets', { params: { domain: name } }));
        output.answer({ items }, () => {
          output.list(
            `no namespace belongs to ${name}`,
            [{ title: 'CLUSTER' }, { title: 'NAMESPACE' }, { title: 'AUDIENCE', canWrap: true }],
            items.map(({ cluster, namespace, audience }) => [cluster, namespace, audience]),
          );
        });
        return undefined;
      }),
    );
}
