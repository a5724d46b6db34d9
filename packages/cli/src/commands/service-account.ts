import type { PlatformRole } from '@strongroom/contract/roles';
import type { CallResult, Client, ItemOf } from '@strongroom/sdk';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize, parseCount, wholeOf } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { findNamed } from './identity-text.ts';
import {
  agreeToEnd,
  agreeToImpact,
  type AgreedOption,
  answerImpact,
  type EndOption,
  endOption,
  type Impact,
} from './impact.ts';
import { addWorkloadCommands } from './service-account-workload.ts';
import { roleOption } from './user.ts';

type ServiceAccount = ItemOf<'listServiceAccounts'>;

/** Without a domain: those of the platform, which platform administrators manage. */
interface WhereOptions {
  readonly domain?: string;
}

function addWhereOption(command: Command): Command {
  return command.option('-d, --domain <domain>', 'of this domain; without it: of the platform');
}

async function findAccount(client: Client, name: string, { domain }: WhereOptions): Promise<ServiceAccount> {
  return domain === undefined
    ? findNamed(client, 'listServiceAccounts', name)
    : findNamed(client, 'listDomainServiceAccounts', name, { domain });
}

export function addServiceAccountCommands(program: Command, cli: Cli): void {
  const account = group(program, 'service-account', 'identities of programs, with tokens');
  addWhereOption(account.command('create <name>').description('create a service account'))
    .option('--display-name <text>', 'what people call it')
    .addOption(roleOption())
    .action(
      cli.action(
        async (
          { connect, output },
          name: string,
          options: WhereOptions & { readonly displayName?: string; readonly role?: PlatformRole[] },
        ) => {
          const { domain, displayName, role } = options;
          if (domain !== undefined && role !== undefined)
            throw new UsageError('a service account of a domain has no platform role');
          const client = await connect();
          const body = { name, ...(displayName === undefined ? {} : { displayName }) };
          const created =
            domain === undefined
              ? await client.createServiceAccount({ body: { ...body, ...(role === undefined ? {} : { roles: role }) } })
              : await client.createDomainServiceAccount({ params: { domain }, body });
          output.answer(created, () => output.line(`created service account ${fullName(created)}`));
          const where = domain === undefined ? '' : ` --domain ${domain}`;
          output.note(`to give it a token: strongroom service-account token issue ${name}${where}`);
          return undefined;
        },
      ),
    );
  addListOptions(addWhereOption(account.command('list').description('list service accounts'))).action(
    cli.action(async ({ connect, output }, options: WhereOptions & ListOptions) => {
      const { domain, limit, search } = options;
      const query = { limit: pageSize(limit), ...(search === undefined ? {} : { q: search }) };
      const client = await connect();
      const items =
        domain === undefined
          ? await listUpTo(client, output, 'listServiceAccounts', { query }, limit)
          : await listUpTo(client, output, 'listDomainServiceAccounts', { params: { domain }, query }, limit);
      output.answer({ items }, () =>
        output.table(
          [
            { title: 'NAME' },
            { title: 'DISPLAY NAME', canCut: true },
            { title: 'ROLES', canCut: true },
            { title: 'STATE' },
            { title: 'CREATED' },
          ],
          items.map((each) => [
            fullName(each),
            each.displayName,
            each.roles.join(', ') || '-',
            each.isDisabled ? 'disabled' : 'active',
            localTime(each.createdAt),
          ]),
        ),
      );
      return undefined;
    }),
  );
  addWhereOption(account.command('show <name>').description('show a service account')).action(
    cli.action(async ({ connect, output }, name: string, options: WhereOptions) => {
      const found = await findAccount(await connect(), name, options);
      output.answer(found, () =>
        output.facts({
          name: fullName(found),
          id: found.id,
          'display name': found.displayName,
          roles: found.roles.join(', ') || '-',
          state: found.isDisabled ? 'disabled' : 'active',
          created: localTime(found.createdAt),
        }),
      );
      return undefined;
    }),
  );
  addAccountChangeCommands(account, cli);
  addImpactCommand(account, cli);
  addTokenCommands(account, cli);
  addWorkloadCommands(account, cli);
}

function addAccountChangeCommands(account: Command, cli: Cli): void {
  for (const [verb, isDisabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    const summary = isDisabled ? 'stop its tokens at once' : 'let its tokens work again';
    const command = addWhereOption(account.command(`${verb} <name>`).description(summary));
    if (isDisabled) command.option('-y, --yes', "don't ask, although launches stand on it");
    command.action(
      cli.action(async (session, name: string, options: WhereOptions & AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const { id, revision } = await findAccount(client, name, options);
        if (isDisabled && options.yes !== true) {
          const impact = await accountImpact(client, id, options, 'disable');
          await agreeToImpact(session, impact, `disable service account ${name}`, options.yes);
        }
        const body = { isDisabled };
        const changed =
          options.domain === undefined
            ? await client.updateServiceAccount({ params: { serviceAccount: id }, body, ifMatch: revision })
            : await client.updateDomainServiceAccount({
                params: { domain: options.domain, serviceAccount: id },
                body,
                ifMatch: revision,
              });
        output.answer(changed, () => output.line(`${verb}d service account ${fullName(changed)}`));
        return undefined;
      }),
    );
  }
  addWhereOption(account.command('delete <name>').description('delete a service account; its tokens stop at once'))
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async (session, name: string, options: WhereOptions & AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const found = await findAccount(client, name, options);
        const { domain, yes } = options;
        const read = () => accountImpact(client, found.id, options, 'delete');
        await agreeToEnd(session, read, `delete service account ${fullName(found)}`, yes);
        await (domain === undefined
          ? client.deleteServiceAccount({ params: { serviceAccount: found.id }, ifMatch: found.revision })
          : client.deleteDomainServiceAccount({
              params: { domain, serviceAccount: found.id },
              ifMatch: found.revision,
            }));
        output.answer({ name: fullName(found), deleted: true }, () =>
          output.line(`deleted service account ${fullName(found)}`),
        );
        return undefined;
      }),
    );
}

function addImpactCommand(account: Command, cli: Cli): void {
  addWhereOption(
    account
      .command('impact <name>')
      .description(
        'show what disabling or deleting a service account, or revoking a token, would hit; changes nothing',
      ),
  )
    .addOption(endOption())
    .addOption(new Option('--token <id>', 'what revoking this token would hit').conflicts('change'))
    .action(
      cli.action(
        async ({ connect, output }, name: string, options: WhereOptions & EndOption & { readonly token?: string }) => {
          const client = await connect();
          const { id } = await findAccount(client, name, options);
          const { token, change } = options;
          answerImpact(
            output,
            token === undefined
              ? await accountImpact(client, id, options, change)
              : await tokenImpact(client, id, token, options),
          );
          return undefined;
        },
      ),
    );
}

function accountImpact(
  client: Client,
  serviceAccount: string,
  { domain }: WhereOptions,
  change: 'delete' | 'disable',
): Promise<Impact> {
  const query = { change };
  return domain === undefined
    ? client.showServiceAccountImpact({ params: { serviceAccount }, query })
    : client.showDomainServiceAccountImpact({ params: { domain, serviceAccount }, query });
}

function tokenImpact(client: Client, serviceAccount: string, token: string, { domain }: WhereOptions): Promise<Impact> {
  return domain === undefined
    ? client.showTokenImpact({ params: { serviceAccount, token } })
    : client.showDomainTokenImpact({ params: { domain, serviceAccount, token } });
}

interface IssueOptions extends WhereOptions {
  readonly expiresInDays?: number | null;
  readonly description?: string;
}

function addTokenCommands(account: Command, cli: Cli): void {
  const token = group(account, 'token', 'tokens of a service account');
  addWhereOption(token.command('issue <name>').description('issue a token; it is printed once, alone on stdout'))
    .option(
      '--expires-in-days <days>',
      'how long it works, 90 days when left out; never: until it is revoked',
      parseDays,
    )
    .option('--description <text>', 'what it is for')
    .action(
      cli.action(async ({ connect, output }, name: string, options: IssueOptions) => {
        const { domain, expiresInDays, description } = options;
        const client = await connect();
        const { id } = await findAccount(client, name, options);
        const body = {
          ...(expiresInDays === undefined ? {} : { expiresInDays }),
          ...(description === undefined ? {} : { description }),
        };
        const issued =
          domain === undefined
            ? await client.issueToken({ params: { serviceAccount: id }, body })
            : await client.issueDomainToken({ params: { domain, serviceAccount: id }, body });
        output.answer(issued, () => output.line(issued.token));
        const until = issued.expiresAt === null ? 'until it is revoked' : `until ${localTime(issued.expiresAt)}`;
        output.note(`token ${issued.id} works ${until}; it is not shown again`);
        return undefined;
      }),
    );
  addWhereOption(token.command('list <name>').description('list tokens; the credential itself is not kept')).action(
    cli.action(async ({ connect, output }, name: string, options: WhereOptions) => {
      const { domain } = options;
      const client = await connect();
      const { id } = await findAccount(client, name, options);
      const items = await wholeOf(
        domain === undefined
          ? client.items('listTokens', { params: { serviceAccount: id } })
          : client.items('listDomainTokens', { params: { domain, serviceAccount: id } }),
      );
      output.answer({ items }, () =>
        output.table(
          [
            { title: 'ID' },
            { title: 'TOKEN' },
            { title: 'CREATED' },
            { title: 'EXPIRES' },
            { title: 'LAST USED' },
            { title: 'REVOKED' },
            { title: 'DESCRIPTION', canCut: true },
          ],
          items.map(tokenRow),
        ),
      );
      return undefined;
    }),
  );
  addWhereOption(token.command('revoke <name> <id>').description('revoke a token: the next call with it is refused'))
    .option('-y, --yes', "don't ask, although programs stop with it")
    .action(
      cli.action(async (session, name: string, tokenId: string, options: WhereOptions & AgreedOption) => {
        const { domain, yes } = options;
        const { output } = session;
        const client = await session.connect();
        const { id } = await findAccount(client, name, options);
        if (yes !== true)
          await agreeToImpact(session, await tokenImpact(client, id, tokenId, options), `revoke token ${tokenId}`, yes);
        await (domain === undefined
          ? client.revokeToken({ params: { serviceAccount: id, token: tokenId } })
          : client.revokeDomainToken({ params: { domain, serviceAccount: id, token: tokenId } }));
        output.answer({ id: tokenId, revoked: true }, () => output.line(`revoked token ${tokenId}`));
        return undefined;
      }),
    );
}

function tokenRow(token: CallResult<'listTokens'>['items'][number]): string[] {
  return [
    token.id,
    `${token.prefix}…${token.lastFour}`,
    localTime(token.createdAt),
    token.expiresAt === null ? 'never' : localTime(token.expiresAt),
    localTime(token.lastUsedAt),
    localTime(token.revokedAt),
    token.description,
  ];
}

function parseDays(text: string): number | null {
  if (text === 'never') return null;
  const days = parseCount(text);
  if (days > 365) throw new InvalidArgumentError('It is at most 365 days, or never.');
  return days;
}

function fullName({ domain, name }: { readonly domain?: string; readonly name: string }): string {
  return domain === undefined ? name : `${domain}/${name}`;
}
