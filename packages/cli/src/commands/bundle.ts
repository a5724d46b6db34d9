import { assetPermissions, type AssetPermission, type AssetType } from '@strongroom/contract/roles';
import type { Client } from '@strongroom/sdk';
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { orAbsent } from '../apply/kind.ts';
import { type Cli, group, type Session } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { UsageError } from '../errors.ts';
import { addListOptions, type ListOptions, listUpTo, pageSize, wholeOf } from '../lists.ts';
import { agreeToImpact, type AgreedOption, answerImpact, type Impact } from './impact.ts';
import { localTime } from '../output/text.ts';

const assetTypes = Object.keys(assetPermissions) as AssetType[];

export function addBundleCommands(program: Command, cli: Cli): void {
  const bundle = group(program, 'bundle', 'named sets of assets of a domain, on which permissions are granted');
  addBundleLifeCommands(bundle, cli);
  addBundleGrantCommands(bundle, cli);
  addBundleAssetCommands(bundle, cli);
}

interface BundleOptions extends DomainOption {
  readonly description?: string;
  readonly owner?: string;
}

function addBundleLifeCommands(bundle: Command, cli: Cli): void {
  addListOptions(requireDomain(bundle.command('list').description('list bundles'))).action(
    cli.action(async ({ connect, output }, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain }, query };
      const items = await listUpTo(await connect(), output, 'listBundles', input, options.limit);
      output.answer({ items }, () =>
        output.list(
          `no bundles in ${options.domain}`,
          [{ title: 'NAME' }, { title: 'OWNER' }, { title: 'CREATED' }, { title: 'DESCRIPTION', canCut: true }],
          items.map((each) => [each.name, each.owner ?? 'owners', localTime(each.createdAt), each.description]),
        ),
      );
      return undefined;
    }),
  );
  const describe = (command: Command): Command =>
    requireDomain(command)
      .option('--description <text>', 'what it is for')
      .option('--owner <principal>', 'user:NAME or group:NAME');
  describe(
    bundle.command('create <name>').description('create a bundle; you own it unless --owner says otherwise'),
  ).action(
    cli.action(async ({ connect, output }, name: string, { domain, ...body }: BundleOptions) => {
      const created = await (await connect()).createBundle({ params: { domain }, body: { name, ...body } });
      output.answer(created, () => output.line(`created bundle ${created.name} in ${domain}`));
      return undefined;
    }),
  );
  requireDomain(bundle.command('show <name>').description('show a bundle')).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      const found = await (await connect()).showBundle({ params: { domain, bundle: name } });
      output.answer(found, () =>
        output.facts({
          name: found.name,
          id: found.id,
          owner: found.owner ?? 'the owners of the domain',
          description: found.description === '' ? undefined : found.description,
          created: localTime(found.createdAt),
          revision: `${found.revision}`,
        }),
      );
      return undefined;
    }),
  );
  describe(bundle.command('edit <name>').description('change the description or the owner'))
    .option('-y, --yes', "don't ask, although launches stand on what its owner has")
    .action(
      cli.action(async (session, name: string, { domain, yes, ...body }: BundleOptions & AgreedOption) => {
        const { connect, output } = session;
        if (Object.keys(body).length === 0)
          throw new UsageError('there is nothing to change', 'Add --description or --owner.');
        const client = await connect();
        const params = { domain, bundle: name };
        const { revision } = await client.showBundle({ params });
        const { owner } = body;
        if (owner !== undefined && yes !== true) {
          const impact = await client.showBundleImpact({ params, query: { owner } });
          await agreeToImpact(session, impact, `make ${owner} the owner of ${name}`, yes);
        }
        const changed = await client.updateBundle({ params, body, ifMatch: revision });
        output.answer(changed, () => output.line(`changed bundle ${changed.name}`));
        return undefined;
      }),
    );
  requireDomain(bundle.command('delete <name>').description('delete a bundle; its assets fall back to default'))
    .option('-y, --yes', "don't ask; still refused while it has assets")
    .option('--force', "don't ask, and delete it although it has assets")
    .action(
      cli.action(async (session, name: string, options: DomainOption & AgreedOption & { readonly force?: true }) => {
        const { output } = session;
        const client = await session.connect();
        const params = { domain: options.domain, bundle: name };
        const { revision } = await client.showBundle({ params });
        if (options.yes !== true && options.force !== true)
          await agreeToImpact(session, await client.showBundleImpact({ params }), `delete bundle ${name}`, undefined);
        await client.deleteBundle({
          params,
          ...(options.force === true ? { query: { force: true } } : {}),
          ifMatch: revision,
        });
        output.answer({ bundle: name, deleted: true }, () => output.line(`deleted bundle ${name}`));
        return undefined;
      }),
    );
}

function addBundleGrantCommands(bundle: Command, cli: Cli): void {
  addListOptions(requireDomain(bundle.command('grants <name>').description('list what is granted on a bundle'))).action(
    cli.action(async ({ connect, output }, name: string, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain, bundle: name }, query };
      const items = await listUpTo(await connect(), output, 'listBundleGrants', input, options.limit);
      output.answer({ items }, () =>
        output.list(
          `nothing is granted on ${name}`,
          [
            { title: 'ID' },
            { title: 'PRINCIPAL' },
            { title: 'ON' },
            { title: 'PERMISSIONS', canWrap: true },
            { title: 'SINCE' },
          ],
          items.map((each) => [
            each.id,
            each.principal,
            each.assetType,
            each.permissions.join(', '),
            localTime(each.createdAt),
          ]),
        ),
      );
      return undefined;
    }),
  );
  requireDomain(
    bundle.command('grant').description('grant permissions on the assets of one type, in place of earlier ones'),
  )
    .argument('<name>', 'the bundle')
    .argument('<principal>', 'user:NAME, group:NAME, service-account:NAME or service-account:DOMAIN/NAME')
    .addArgument(new Argument('<asset-type>', 'on what').choices(assetTypes))
    .argument('<permissions...>', 'what to grant: USE, VIEW, RUN, …')
    .option('-y, --yes', "don't ask, although launches stand on what earlier ones gave")
    .action(
      cli.action(
        async (
          session,
          name: string,
          principal: string,
          assetType: AssetType,
          permissions: AssetPermission[],
          { domain, yes }: DomainOption & AgreedOption,
        ) => {
          const { connect, output } = session;
          const known: readonly AssetPermission[] = assetPermissions[assetType];
          const unknown = permissions.filter((each) => !known.includes(each));
          if (unknown.length > 0) {
            throw new UsageError(
              `${unknown.join(', ')} is no permission on ${assetType}`,
              `They are ${known.join(', ')}.`,
            );
          }
          const client = await connect();
          const grant = { principal, assetType, permissions };
          if (yes !== true) await agreeToLess(session, client, { domain, bundle: name }, grant);
          const added = await client.addBundleGrant({ params: { domain, bundle: name }, body: grant });
          output.answer(added, () =>
            output.line(
              `granted ${added.permissions.join(', ')} on ${added.assetType} of ${name} to ${added.principal} (${added.id})`,
            ),
          );
          return undefined;
        },
      ),
    );
  requireDomain(bundle.command('revoke <name> <id>').description('take a grant on a bundle back'))
    .option('-y, --yes', "don't ask, although launches stand on it")
    .action(
      cli.action(async (session, name: string, id: string, { domain, yes }: DomainOption & { readonly yes?: true }) => {
        const client = await session.connect();
        const params = { domain, bundle: name, grant: id };
        const change = `remove grant ${id} on ${name}`;
        if (yes !== true) await agreeToImpact(session, await client.showBundleGrantImpact({ params }), change, yes);
        await client.deleteBundleGrant({ params });
        session.output.answer({ id, removed: true }, () => session.output.line(`removed grant ${id} on ${name}`));
        return undefined;
      }),
    );
  requireDomain(
    bundle
      .command('impact <name> [grant]')
      .description(
        'show what deleting a bundle or giving it away, taking a grant back or moving an asset would hit; changes nothing',
      ),
  )
    .option('--keep <permissions...>', 'of leaving these permissions of the grant')
    .option('--owner <principal>', 'of giving the bundle to another owner')
    .option('--asset <id>', 'of taking this asset out of the bundle')
    .option('--to <other>', 'of moving the asset there')
    .action(
      cli.action(async ({ connect, output }, name: string, grant: string | undefined, options: ImpactOptions) => {
        const { domain, asset, to, keep, owner } = options;
        if ([grant, asset, owner].filter((each) => each !== undefined).length > 1)
          throw new UsageError('it is about a grant, an asset or the owner');
        if ((to !== undefined && asset === undefined) || (keep !== undefined && grant === undefined))
          throw new UsageError('--to needs --asset, and --keep a grant');
        const client = await connect();
        const params = { domain, bundle: name };
        if (asset !== undefined) answerImpact(output, await assetImpact(client, { ...params, asset }, to));
        else if (grant !== undefined) {
          const query = keep === undefined ? {} : { permissions: keep.join(',') };
          answerImpact(output, await client.showBundleGrantImpact({ params: { ...params, grant }, query }));
        } else {
          const query = owner === undefined ? {} : { owner };
          answerImpact(output, await client.showBundleImpact({ params, query }));
        }
        return undefined;
      }),
    );
}

/** Asked when the grant takes the place of one that gave more. */
async function agreeToLess(
  session: Session,
  client: Client,
  params: { readonly domain: string; readonly bundle: string },
  grant: { readonly principal: string; readonly assetType: AssetType; readonly permissions: AssetPermission[] },
): Promise<void> {
  const { assetType, permissions } = grant;
  const principal = grant.principal.toLowerCase();
  const named = new Set([
    principal,
    principal.replace(/^service-account:(?=[^/]*$)/, `service-account:${params.domain}/`),
  ]);
  const held = await orAbsent(wholeOf(client.items('listBundleGrants', { params, query: { limit: 200 } })));
  const before = held?.find((each) => named.has(each.principal) && each.assetType === assetType);
  const lost = before?.permissions.filter((each) => !permissions.includes(each)) ?? [];
  if (before === undefined || lost.length === 0) return;
  const impact = await client.showBundleGrantImpact({
    params: { ...params, grant: before.id },
    query: { permissions: permissions.join(',') },
  });
  await agreeToImpact(session, impact, `take ${lost.join(', ')} on ${assetType} of ${params.bundle} away`, undefined);
}

interface ImpactOptions extends DomainOption {
  readonly asset?: string;
  readonly to?: string;
  readonly keep?: readonly AssetPermission[];
  readonly owner?: string;
}

function assetImpact(
  client: Client,
  params: { readonly domain: string; readonly bundle: string; readonly asset: string },
  to: string | undefined,
): Promise<Impact> {
  return client.showBundleAssetImpact({ params, ...(to === undefined ? {} : { query: { to } }) });
}

interface AddAssetOptions extends DomainOption {
  readonly secret?: string;
  readonly prefix?: string;
  readonly sparkJob?: string;
  readonly asset?: NamedAsset;
  readonly global?: true;
}

interface NamedAsset {
  readonly type: AssetType;
  readonly name: string;
}

function parseAsset(text: string): NamedAsset {
  const [type, name, more] = text.split('/');
  const known = assetTypes.find((each) => each === type && each !== 'secret');
  if (known === undefined || name === undefined || name === '' || more !== undefined)
    throw new InvalidArgumentError(
      `It is TYPE/NAME, and a type is one of ${assetTypes.filter((each) => each !== 'secret').join(', ')}.`,
    );
  return { type: known, name };
}

function addBundleAssetCommands(bundle: Command, cli: Cli): void {
  addListOptions(
    requireDomain(bundle.command('assets <name>').description('list the assets named in a bundle')),
  ).action(
    cli.action(async ({ connect, output }, name: string, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain, bundle: name }, query };
      const items = await listUpTo(await connect(), output, 'listBundleAssets', input, options.limit);
      output.answer({ items }, () =>
        output.list(
          `nothing that you may see is named in ${name}`,
          [{ title: 'ID' }, { title: 'TYPE' }, { title: 'ASSET' }, { title: 'SCOPE' }],
          items.map((each) => [
            each.id,
            each.type,
            each.name ?? each.key ?? (each.prefix === '' ? 'every key' : `keys beginning with ${each.prefix}`),
            each.scope ?? '-',
          ]),
        ),
      );
      return undefined;
    }),
  );
  requireDomain(bundle.command('add <name>').description('add secrets by key or prefix, or move something else here'))
    .option('--secret <key>', 'one secret')
    .option('--prefix <text>', 'every secret whose key begins so')
    .addOption(new Option('--spark-job <job>', 'a Spark job').conflicts(['secret', 'prefix', 'global']))
    .addOption(
      new Option('--asset <type/name>', 'a configuration or an integration of any kind')
        .argParser(parseAsset)
        .conflicts(['secret', 'prefix', 'global', 'sparkJob']),
    )
    .option('--global', 'global secrets, as this domain uses them')
    .option('-y, --yes', "don't ask, although launches stand on where it is")
    .action(
      cli.action(async (session, name: string, options: AddAssetOptions & AgreedOption) => {
        const { domain, secret, prefix, sparkJob, global, yes } = options;
        const { output } = session;
        const asset = sparkJob === undefined ? options.asset : ({ type: 'spark-job', name: sparkJob } as const);
        if ([secret, prefix, asset].filter((each) => each !== undefined).length !== 1) {
          throw new UsageError('give one of --secret, --prefix, --spark-job and --asset');
        }
        const scope = global === true ? ({ scope: 'global' } as const) : {};
        const body =
          asset !== undefined
            ? asset
            : {
                type: 'secret' as const,
                ...(secret === undefined ? {} : { key: secret }),
                ...(prefix === undefined ? {} : { prefix }),
                ...scope,
              };
        const client = await session.connect();
        const params = { domain, bundle: name };
        if (yes !== true) {
          const impact = await client.showBundleAdditionImpact({ params, query: body });
          await agreeToImpact(session, impact, `add it to ${name}`, yes);
        }
        const added = await client.addBundleAsset({ params, body });
        output.answer(added, () => output.line(`added to ${name} (${added.id})`));
        return undefined;
      }),
    );
  const agreed = (command: Command): Command =>
    requireDomain(command).option('-y, --yes', "don't ask, although launches stand on where it is");
  agreed(bundle.command('move <name> <id> <other>').description('move an asset to another bundle')).action(
    cli.action(
      async (session, name: string, id: string, other: string, { domain, yes }: DomainOption & AgreedOption) => {
        const { output } = session;
        const client = await session.connect();
        const params = { domain, bundle: name, asset: id };
        if (yes !== true)
          await agreeToImpact(session, await assetImpact(client, params, other), `move asset ${id} to ${other}`, yes);
        const moved = await client.moveBundleAsset({ params, body: { bundle: other } });
        output.answer(moved, () => output.line(`moved to ${other} (${moved.id})`));
        return undefined;
      },
    ),
  );
  agreed(bundle.command('remove <name> <id>').description('take an asset out of a bundle')).action(
    cli.action(async (session, name: string, id: string, { domain, yes }: DomainOption & AgreedOption) => {
      const { output } = session;
      const client = await session.connect();
      const params = { domain, bundle: name, asset: id };
      if (yes !== true)
        await agreeToImpact(
          session,
          await assetImpact(client, params, undefined),
          `remove asset ${id} from ${name}`,
          yes,
        );
      await client.deleteBundleAsset({ params });
      output.answer({ id, removed: true }, () => output.line(`removed asset ${id} from ${name}`));
      return undefined;
    }),
  );
}
