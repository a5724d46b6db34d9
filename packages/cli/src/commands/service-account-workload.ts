import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { localTime } from '../output/text.ts';
import { findNamed } from './identity-text.ts';
import { agreeToEnd } from './impact.ts';

interface Subject {
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

interface BindOptions extends DomainOption {
  readonly uid: string;
}

/** Pods that act as a service account of a domain, by tokens that their cluster checks. */
export function addWorkloadCommands(account: Command, cli: Cli): void {
  const workload = group(
    account,
    'workload',
    'pods of Kubernetes that act as a service account, without a token of ours',
  );
  requireDomain(
    workload
      .command('bind')
      .description('let pods of a ServiceAccount in Kubernetes act as the service account')
      .argument('<name>', 'the service account of the domain')
      .argument('<subject>', 'CLUSTER/NAMESPACE/SERVICEACCOUNT', parseSubject),
  )
    .requiredOption(
      '--uid <uid>',
      'of that ServiceAccount: kubectl get serviceaccount NAME -o jsonpath={.metadata.uid}',
    )
    .action(
      cli.action(async ({ connect, output }, name: string, subject: Subject, { domain, uid }: BindOptions) => {
        const client = await connect();
        const { id } = await findNamed(client, 'listDomainServiceAccounts', name, { domain });
        const params = { domain, serviceAccount: id };
        const bound = await client.bindWorkload({ params, body: { ...subject, uid } });
        output.answer(bound, () => output.line(`${textOf(bound)} acts as ${domain}/${name} (${bound.id})`));
        return undefined;
      }),
    );
  requireDomain(workload.command('list <name>').description('list what acts as a service account')).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      const client = await connect();
      const { id } = await findNamed(client, 'listDomainServiceAccounts', name, { domain });
      const found = await client.listWorkloads({ params: { domain, serviceAccount: id } });
      output.answer(found, () => {
        if (found.items.length === 0) output.note(`nothing in Kubernetes acts as ${domain}/${name}`);
        else
          output.table(
            [
              { title: 'ID' },
              { title: 'PODS OF' },
              { title: 'UID' },
              { title: 'SINCE' },
              { title: 'BY', canCut: true },
            ],
            found.items.map((each) => [each.id, textOf(each), each.uid, localTime(each.createdAt), each.createdBy]),
          );
      });
      return undefined;
    }),
  );
  requireDomain(workload.command('unbind <name> <id>').description('end it: the next call of those pods is refused'))
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async (session, name: string, bound: string, options: DomainOption & { readonly yes?: true }) => {
        const { connect, output } = session;
        const { domain, yes } = options;
        const client = await connect();
        const { id } = await findNamed(client, 'listDomainServiceAccounts', name, { domain });
        const params = { domain, serviceAccount: id, workload: bound };
        const read = () => client.showWorkloadImpact({ params });
        await agreeToEnd(session, read, `end that ${bound} acts as ${domain}/${name}`, yes);
        await client.unbindWorkload({ params });
        output.answer({ id: bound, deleted: true }, () => output.line(`${bound} acts as ${domain}/${name} no more`));
        return undefined;
      }),
    );
}

function parseSubject(text: string): Subject {
  const [cluster = '', namespace = '', serviceAccount = '', more] = text.split('/');
  if (cluster === '' || namespace === '' || serviceAccount === '' || more !== undefined)
    throw new InvalidArgumentError('It is CLUSTER/NAMESPACE/SERVICEACCOUNT.');
  return { cluster, namespace, serviceAccount };
}

function textOf({ cluster, namespace, serviceAccount }: Subject): string {
  return `${cluster}/${namespace}/${serviceAccount}`;
}
