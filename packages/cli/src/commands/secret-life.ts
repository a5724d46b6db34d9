import { type Command, Option } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { isInteractive } from '../io.ts';
import { localTime } from '../output/text.ts';
import { confirm, confirmByTyping } from '../prompt.ts';
import { addScopeOptions, routeIn, type Scope, scopeOf, type ScopeOptions } from '../scope.ts';
import { collect } from '../values.ts';
import { answerImpact, impactText, isHit, keptDomains, printImpact, requireGlobalRevoke, unasked } from './impact.ts';
import { brokenText } from './secret-text.ts';

export function addSecretLifeCommands(secret: Command, cli: Cli): void {
  addDeleteCommand(secret, cli);
  addScopeOptions(secret.command('restore <key>').description('bring a deleted secret back')).action(
    cli.action(async ({ connect, output }, key: string, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const restored = await (
        await connect()
      )[routeIn(scope, 'restore', 'Secret')]({ params: { ...scope.params, key } });
      output.answer(restored, () =>
        output.line(`restored ${restored.key} in ${scope.title}, version ${restored.version}`),
      );
      return undefined;
    }),
  );
  addImpactCommand(secret, cli);
  addPurgeCommand(secret, cli);
  addScopeOptions(
    secret.command('rollback <key> <version>').description('make a new version from an old one, which nobody sees'),
  ).action(
    cli.action(async ({ connect, output }, key: string, version: string, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const rolled = await (
        await connect()
      )[routeIn(scope, 'rollBack', 'Secret')]({ params: { ...scope.params, key }, body: { version } });
      output.answer(rolled, () =>
        output.line(`rolled ${rolled.key} back to the value of ${version}: it is version ${rolled.version} now`),
      );
      return undefined;
    }),
  );
}

interface DeleteOptions extends ScopeOptions {
  readonly force?: true;
  readonly yes?: true;
}

function addDeleteCommand(secret: Command, cli: Cli): void {
  addScopeOptions(secret.command('delete <key>').description('delete a secret; it can be restored until it is purged'))
    .option('-y, --yes', "don't ask; still refused while it is used")
    .option('--force', "don't ask, and delete it although it is used")
    .action(
      cli.action(async (session, key: string, options: DeleteOptions) => {
        const scope = scopeOf(options);
        const { output } = session;
        const client = await session.connect();
        const params = { ...scope.params, key };
        const { revision } = await client[routeIn(scope, 'show', 'Secret')]({ params });
        const isForced = options.force === true || (options.yes !== true && (await agreeToDelete(session, scope, key)));
        const deleted = await client[routeIn(scope, 'delete', 'Secret')]({
          params,
          ...(isForced ? { query: { force: true } } : {}),
          ifMatch: revision,
        });
        output.answer(deleted, () => {
          output.line(
            `deleted ${deleted.key} in ${scope.title}; it can be restored until ${localTime(deleted.purgeAfter)}`,
          );
        });
        if (deleted.brokenUses.length > 0) {
          output.note(brokenText(deleted));
        }
        output.note(`to undo it: strongroom secret restore ${key} ${scope.flags}`);
        return undefined;
      }),
    );
}

/** Shows what would break, and asks. Answers whether a use is no obstacle. @throws Cancelled */
async function agreeToDelete(session: Session, scope: Scope, key: string): Promise<boolean> {
  const { io, output } = session;
  const client = await session.connect();
  const impact = await client[routeIn(scope, 'show', 'SecretImpact')]({ params: { ...scope.params, key } });
  if (!isInteractive(io)) throw unasked(impact, 'deleting', isHit(impact) ? 'Add --force.' : 'Add --yes.');
  if (!isHit(impact)) {
    await confirm(io, `delete ${key} in ${scope.title}?`);
    return false;
  }
  if (!output.isJson) printImpact(output, impact);
  await confirmByTyping(io, `deleting ${key} in ${scope.title} hits ${impactText(impact)}`, key);
  return true;
}

interface ImpactOptions extends ScopeOptions {
  readonly change: 'delete' | 'rotate' | 'revoke';
  readonly to?: readonly string[];
}

function addImpactCommand(secret: Command, cli: Cli): void {
  addScopeOptions(
    secret
      .command('impact <key>')
      .description(
        'show what deleting, rotating or taking back a secret would hit: configurations, what runs, domains',
      ),
  )
    .addOption(
      new Option('--change <change>', 'what would be done').choices(['delete', 'rotate', 'revoke']).default('delete'),
    )
    .option('--to <domain>', 'with --change revoke: a domain that goes on using it, may be repeated', collect)
    .action(
      cli.action(async ({ connect, output }, key: string, { change, to, ...where }: ImpactOptions) => {
        const scope = scopeOf(where);
        const isRevoke = requireGlobalRevoke(scope, change, to);
        const client = await connect();
        const params = { ...scope.params, key };
        const impact = isRevoke
          ? await client.showAssignmentsImpact({ params: { key }, query: keptDomains(to ?? []) })
          : await client[routeIn(scope, 'show', 'SecretImpact')]({
              params,
              query: { change: change === 'rotate' ? change : 'delete' },
            });
        answerImpact(output, impact);
        return undefined;
      }),
    );
}

function addPurgeCommand(secret: Command, cli: Cli): void {
  addScopeOptions(
    secret.command('purge <key>').description('destroy a deleted secret and all its versions; nothing brings it back'),
  )
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, key: string, options: ScopeOptions & { readonly yes?: true }) => {
        const scope = scopeOf(options);
        if (options.yes !== true) {
          if (!isInteractive(io))
            throw new UsageError('purging needs an answer, and there is no terminal to ask on', 'Add --yes.');
          await confirmByTyping(io, `${key} in ${scope.title} will be destroyed`, key);
        }
        await (await connect())[routeIn(scope, 'purge', 'Secret')]({ params: { ...scope.params, key } });
        output.answer({ key, purged: true }, () => output.line(`purged ${key} in ${scope.title}`));
        return undefined;
      }),
    );
}
