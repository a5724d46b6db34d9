import type { CallInput, CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { isRecord, UsageError } from '../errors.ts';
import { confirm } from '../prompt.ts';
import {
  addConfigurationCommands,
  type CredentialFacts,
  credentialText,
  lastFacts,
  printFields,
} from './configuration.ts';
import { addApplyCommands } from './configuration-apply.ts';
import { connectionNoun, placeCredentials } from './configuration-noun.ts';
import { addFormTest } from './form-test.ts';
import { addPreflight } from './preflight.ts';

/** The server's schema decides; its errors name each field. */
type Form = NonNullable<CallInput<'testConnection'>['body']>;

export function addConnectionCommands(program: Command, cli: Cli): void {
  const connection = group(program, 'connection', 'connections and bots that ingestion reads services with');
  addApplyCommands(connection, cli, connectionNoun, true);
  addConfigurationCommands(connection, cli, connectionNoun, printConnection);
  addPurge(connection, cli);
  addRestore(connection, cli);
  addTypes(connection, cli);
  addPreflight(connection.command('preflight <connection>'), cli, {
    preflight: (client, domain, name) => client.preflightConnection({ params: { domain, name } }),
    verb: 'be usable',
  });
  addFormTest(connection, cli, connectionNoun, 'try the connection: TCP, and a query of PostgreSQL', {
    form: (client, domain, body) =>
      client.testConnectionForm({ params: { domain }, body: placeCredentials(body) as Form }),
    change: (client, domain, name, body) =>
      client.testConnection({ params: { domain, name }, body: placeCredentials(body) as Form }),
    saved: async (client, domain, name) => {
      const { type, schema, config } = await client.showConnection({ params: { domain, name } });
      return { type, config: keptConfig(config), schema };
    },
  });
  addWorkflow(connection, cli);
}

/** `delete` keeps the connection and its secrets; this ends both. */
function addPurge(connection: Command, cli: Cli): void {
  requireDomain(
    connection.command('purge <connection>').description('delete a connection for good, with the secrets that it owns'),
  )
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, name: string, options: DomainOption & { readonly yes?: true }) => {
        const { domain } = options;
        const client = await connect();
        const { revision } = await client.showConnection({ params: { domain, name } });
        if (options.yes !== true) await confirm(io, `delete the connection ${name} in ${domain} for good?`);
        await client.deleteConnection({ params: { domain, name }, query: { hard: true }, ifMatch: revision });
        output.answer({ name, purged: true }, () => output.line(`deleted connection ${name} in ${domain} for good`));
        return undefined;
      }),
    );
}

function addRestore(connection: Command, cli: Cli): void {
  requireDomain(
    connection.command('restore <connection>').description('take back that a connection was deleted'),
  ).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      const found = await (await connect()).restoreConnection({ params: { domain, name } });
      output.answer(found, () => output.line(`restored connection ${name} in ${domain}`));
      return undefined;
    }),
  );
}

function addTypes(connection: Command, cli: Cli): void {
  connection
    .command('types [type]')
    .description('list the types of connections that the server knows, or print the JSON Schema of one')
    .action(
      cli.action(async ({ connect, output }, type: string | undefined) => {
        const found = await (await connect()).listConnectionTypes();
        if (type === undefined) {
          output.answer(found, () =>
            output.table(
              [{ title: 'TYPE' }, { title: 'TITLE', canCut: true }, { title: 'CATEGORY' }, { title: 'TESTS' }],
              found.items.map((each) => [each.type, each.title, each.category, each.tests.join(', ')]),
            ),
          );
          return undefined;
        }
        const named = found.items.find((each) => each.type === type);
        if (named === undefined)
          throw new UsageError(`there is no type ${type}`, 'strongroom connection types lists them.');
        const { stringify } = await import('yaml');
        output.answer(named, () => output.lines(stringify(named.schema).trimEnd()));
        return undefined;
      }),
    );
}

interface WorkflowOptions extends DomainOption {
  readonly hostPort: string;
  readonly authProvider?: string;
  readonly loader?: 'noop' | 'airflow' | 'env';
  readonly bot?: string;
}

function addWorkflow(connection: Command, cli: Cli): void {
  requireDomain(
    connection
      .command('workflow <connection>')
      .description('print the ingestion workflow for OpenMetadata, YAML, with the names of secrets in Kubernetes'),
  )
    .requiredOption('--host-port <url>', "the address of OpenMetadata's API")
    .option('--auth-provider <name>', 'how ingestion signs in to it (default: openmetadata)')
    .option('--loader <loader>', 'where the runtime has its settings: env, airflow or noop (default: env)')
    .option('--bot <connection>', 'the bot whose token ingestion signs in with')
    .action(
      cli.action(async ({ connect, output }, name: string, options: WorkflowOptions) => {
        const { domain, hostPort, authProvider, loader, bot } = options;
        const query = {
          hostPort,
          ...(authProvider === undefined ? {} : { authProvider }),
          ...(loader === undefined ? {} : { secretsManagerLoader: loader }),
          ...(bot === undefined ? {} : { bot }),
        };
        const { workflow } = await (await connect()).showConnectionWorkflow({ params: { domain, name }, query });
        const { stringify } = await import('yaml');
        output.answer(workflow, () => output.lines(stringify(workflow).trimEnd()));
        return undefined;
      }),
    );
}

const stateNames: ReadonlySet<string> = new Set(['isSet', 'isOwned', 'secret', 'placeholder']);

/** What is shown in place of a field of format password; a plain field of a schema may be an object, too. */
function stateOf(value: unknown): CredentialFacts | undefined {
  const state = Object(value) as Partial<CredentialFacts>;
  const names = Object.keys(state);
  const isState = typeof state.isSet === 'boolean' && names.every((name) => stateNames.has(name));
  return isState ? (state as CredentialFacts) : undefined;
}

/**
 * What was shown, as it is sent again: fields of format password are left out, which keeps them. A part that shows nothing but such
 * fields, none of them set, is not there at all.
 */
function keptConfig(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(kept);
    return isRecord(value) ? keptConfig(value) : value;
  };
  return Object.fromEntries(
    Object.entries(config).flatMap(([name, value]) =>
      stateOf(value) !== undefined || isUnset(value) ? [] : [[name, kept(value)]],
    ),
  );
}

function isUnset(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const members = Object.values(value);
  return members.length > 0 && members.every((each) => stateOf(each)?.isSet === false || isUnset(each));
}

function printConnection(output: Cli['output'], found: CallResult<'showConnection'>): void {
  output.facts({
    name: found.name,
    domain: found.domain,
    id: found.id,
    description: found.description,
    type: found.type,
    ...lastFacts(found),
    ...(found.deleted ? { state: 'deleted' } : {}),
  });
  printFields(output, rowsOf(found.config, []));
}

function rowsOf(value: unknown, path: readonly string[]): string[][] {
  const state = stateOf(value);
  const name = path.join('.');
  if (state !== undefined) return [['secret', name, credentialText(state)]];
  if (typeof value !== 'object' || value === null) return [['config', name, String(value)]];
  return Object.entries(value).flatMap(([member, each]) => rowsOf(each, [...path, member]));
}
