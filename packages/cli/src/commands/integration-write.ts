import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import { visible } from '../output/text.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';
import {
  addConnectionOptions,
  type Body,
  type ConnectionOptions,
  type FormBody,
  namesConnection,
  readConnection,
  readCredentials,
} from './integration-connection.ts';
import { agreeToImpact } from './impact.ts';
import { printTest } from './integration-text.ts';

interface WriteOptions extends ScopeOptions, ConnectionOptions {
  readonly description?: string;
  readonly bundle?: string;
}

export function addIntegrationWriteCommands(integration: Command, cli: Cli): void {
  const write = (command: Command): Command =>
    addConnectionOptions(addScopeOptions(command))
      .option('--description <text>', 'what it is for')
      .option('--bundle <bundle>', 'the bundle to put it into, in a domain');
  write(
    integration
      .command('add [name]')
      .description('connect a backend; its credential comes from stdin, a file or a prompt'),
  ).action(
    cli.action(async ({ io, connect, output }, given: string | undefined, options: WriteOptions) => {
      const scope = scopeOf(options);
      const { name = given, ...connection } = await readConnection(io, options, {
        name: given,
        domain: options.domain,
      });
      if (name === undefined || (given !== undefined && name !== given))
        throw new UsageError('the integration has no name, or the manifest has another one');
      const client = await connect();
      const credentials = await readCredentials(io, options, connection.settings, true);
      const made = await client[routeIn(scope, 'create', 'Integration')]({
        params: scope.params,
        body: { ...connection, ...credentials, ...labelling(options), name } as Body,
      });
      output.answer(made, () => output.line(`added ${made.name} to ${scope.title}`));
      output.note(`try it: strongroom integration test ${made.name} ${scope.flags}`);
      return undefined;
    }),
  );
  write(
    integration
      .command('update <name>')
      .description('change an integration; what is left out stays, another destination asks for the credential'),
  )
    .option('-y, --yes', "don't ask, although another connection may lead to other keys")
    .action(
      cli.action(async (session, name: string, options: WriteOptions & { readonly yes?: true }) => {
        const { io, connect, output } = session;
        const scope = scopeOf(options);
        const more = labelling(options);
        if (!namesConnection(options) && Object.keys(more).length === 0)
          throw new UsageError('there is nothing to change', 'Add --address, --credential, --description, …');
        const client = await connect();
        const params = { ...scope.params, name };
        const before = await client[routeIn(scope, 'show', 'Integration')]({ params });
        const { settings, profile } = await readConnection(io, options, {
          before: before.settings,
          name,
          domain: options.domain,
        });
        if (namesConnection(options)) {
          const impact = await client[routeIn(scope, 'show', 'IntegrationImpact')]({
            params,
            query: { change: 'edit' },
          });
          await agreeToImpact(session, impact, `change ${name} in ${scope.title}`, options.yes);
        }
        const changed = await client[routeIn(scope, 'update', 'Integration')]({
          params,
          body: {
            settings,
            ...(profile === undefined ? {} : { profile }),
            ...(await readCredentials(io, options, settings, false)),
            ...more,
          },
          ifMatch: before.revision,
        });
        output.answer(changed, () =>
          output.line(`changed ${changed.name} in ${scope.title}, revision ${changed.revision}`),
        );
        return undefined;
      }),
    );
  addTestCommand(integration, cli);
}

function labelling({ description, bundle }: WriteOptions) {
  return { ...(description === undefined ? {} : { description }), ...(bundle === undefined ? {} : { bundle }) };
}

function addTestCommand(integration: Command, cli: Cli): void {
  addConnectionOptions(
    addScopeOptions(
      integration
        .command('test [name]')
        .description('try a connection, a saved one or one that is only described; exit code 7 when it fails'),
    ),
  ).action(
    cli.action(async ({ io, connect, output }, name: string | undefined, options: ScopeOptions & ConnectionOptions) => {
      const scope = scopeOf(options);
      const client = await connect();
      const isForm = namesConnection(options);
      if (!isForm && name === undefined)
        throw new UsageError(
          'there is nothing to try',
          'Name a saved integration, or describe one with --address, … or -f.',
        );
      if (!isForm && name !== undefined) {
        const saved = await client[routeIn(scope, 'test', 'Integration')]({ params: { ...scope.params, name } });
        output.answer(saved, () => printTest(output, saved));
        return saved.ok ? undefined : exitCode.check;
      }
      const saved =
        name === undefined
          ? undefined
          : await client[routeIn(scope, 'show', 'Integration')]({ params: { ...scope.params, name } });
      const { type, settings, profile } = await readConnection(io, options, {
        before: saved?.settings,
        name,
        domain: options.domain,
      });
      const tested = await client[routeIn(scope, 'test', 'IntegrationForm')]({
        params: scope.params,
        body: {
          // Options say nothing of the kind; a manifest does.
          type: options.file === undefined ? (saved?.type ?? type) : type,
          settings,
          ...(profile === undefined ? {} : { profile }),
          ...(await readCredentials(io, options, settings, name === undefined)),
          ...(name === undefined ? {} : { integration: name }),
        } as FormBody,
      });
      output.answer(tested, () => printTest(output, tested));
      if (tested.ok) output.note(`nothing was saved${name === undefined ? '' : ` of the changes to ${visible(name)}`}`);
      return tested.ok ? undefined : exitCode.check;
    }),
  );
}
