import type { PlatformRole } from '@strongroom/contract/roles';
import type { CallResult, Client, ItemOf } from '@strongroom/sdk';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize, parseCount, wholeOf } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { roleOption } from '../role-option.ts';
import { findNamed } from './identity-text.ts';
import {
  agreeToEnd,
  agreeToImpact,
  type AgreedOption,
  answerImpact,
  agreeToRoles,
  type EndOption,
  endQuery,
  type Impact,
  withEndOptions,
} from './impact.ts';
import { addWorkloadCommands } from './service-account-workload.ts';

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
          if (domain !== undefined && role !== undefined) throw noRolesInDomain();
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
        output.list(
          'no service accounts',
          [
            { title: 'NAME' },
            { title: 'DISPLAY NAME', canCut: true },
            { title: 'ROLES', canWrap: true },
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

interface EditAccountOptions extends WhereOptions, AgreedOption {
  readonly displayName?: string;
  readonly role?: PlatformRole[];
  readonly roles: boolean;
}

function addEditCommand(account: Command, cli: Cli): void {
  addWhereOption(
    account.command('edit <name>').description('change display name or roles; what it may do changes at once'),
  )
    .option('--display-name <text>', 'what people call it')
    .addOption(roleOption())
    .option('--no-roles', 'take all roles away')
    .option('-y, --yes', "don't ask, although launches stand on a role that goes")
    .action(
      cli.action(async (session, name: string, options: EditAccountOptions) => {
        const { connect, output } = session;
        const { domain, displayName, role, yes } = options;
        const roles = options.roles ? role : [];
        if (domain !== undefined && roles !== undefined) throw noRolesInDomain();
        if (displayName === undefined && roles === undefined) throw new UsageError('there is nothing to change');
        const client = await connect();
        const { id: serviceAccount, revision: ifMatch } = await findAccount(client, name, options);
        const body = displayName === undefined ? {} : { displayName };
        const params = { serviceAccount };
        const read: Parameters<typeof agreeToRoles>[2] = (query) => client.showServiceAccountImpact({ params, query });
        await agreeToRoles(session, roles, read, `service account ${name}`, yes);
        const changed =
          domain === undefined
            ? await client.updateServiceAccount({
                params,
                body: { ...body, ...(roles === undefined ? {} : { roles }) },
                ifMatch,
              })
            : await client.updateDomainServiceAccount({ params: { domain, serviceAccount }, body, ifMatch });
        output.answer(changed, () => output.line(`changed service account ${fullName(changed)}`));
        return undefined;
      }),
    );
}

function addAccountChangeCommands(account: Command, cli: Cli): void {
  addEditCommand(account, cli);
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
          const impact = await accountImpact(client, id, options, { change: 'disable' });
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
        const read = () => accountImpact(client, found.id, options, { change: 'delete' });
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

interface CredentialOptions {
  readonly token?: string;
  readonly workload?: string;
}

function addImpactCommand(account: Command, cli: Cli): void {
  withEndOptions(
    addWhereOption(
      account
        .command('impact <name>')
        .description(
          'show what disabling or deleting a service account, taking roles away or revoking a token would hit; changes nothing',
        ),
    ),
    ['delete', 'disable', 'revoke'],
  )
    .addOption(new Option('--token <id>', 'what revoking this token would hit').conflicts(['change', 'role']))
    .addOption(
      new Option('--workload <id>', 'what ending that these pods act as it would hit').conflicts([
        'change',
        'role',
        'token',
      ]),
    )
    .action(
      cli.action(async ({ connect, output }, name: string, options: WhereOptions & EndOption & CredentialOptions) => {
        const { domain, token, workload, change, role } = options;
        if (workload !== undefined && domain === undefined)
          throw new UsageError('only pods of a domain act as an account', 'Add --domain NAME.');
        const query = endQuery(change, role);
        const client = await connect();
        const { id } = await findAccount(client, name, options);
        const impact =
          workload !== undefined && domain !== undefined
            ? await client.showWorkloadImpact({ params: { domain, serviceAccount: id, workload } })
            : token === undefined
              ? await accountImpact(client, id, options, query)
              : await tokenImpact(client, id, token, options);
        answerImpact(output, impact);
        return undefined;
      }),
    );
}

function accountImpact(
  client: Client,
  serviceAccount: string,
  { domain }: WhereOptions,
  query: ReturnType<typeof endQuery>,
): Promise<Impact> {
  if (domain === undefined) return client.showServiceAccountImpact({ params: { serviceAccount }, query });
  const { change } = query;
  if (change === 'revoke') throw noRolesInDomain();
  return client.showDomainServiceAccountImpact({ params: { domain, serviceAccount }, query: { change } });
}

function noRolesInDomain(): UsageError {
  return new UsageError('a service account of a domain has no platform role');
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
        output.list(
          `no tokens of ${name}`,
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
