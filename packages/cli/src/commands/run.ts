import { type Client, ServerError, StrongroomError } from '@strongroom/sdk';
import type * as WorkloadModule from '@strongroom/sdk/workload';
import type { DeliveredValues, WantedReference } from '@strongroom/sdk/workload';
import type { Command } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { UsageError } from '../errors.ts';
import { runChild } from '../run/child.ts';
import { collectVariables, type Variables } from '../run/variables.ts';
import { collect } from '../values.ts';

interface RunOptions extends DomainOption {
  readonly envFile?: readonly string[];
  readonly env?: readonly string[];
  readonly redact: boolean;
}

export function addRunCommand(program: Command, cli: Cli): void {
  requireDomain(
    program.command('run').description('run a command; references in its environment become values, in it alone'),
  )
    .argument('<command...>', 'the command and its arguments, after --')
    .option('--env-file <file>', 'take variables from a file, may be repeated', collect)
    .option('--env <name=reference>', 'one more variable, may be repeated', collect)
    .option('--no-redact', "pass the command's output on as it is, with values in it")
    .addHelpText(
      'after',
      `
A variable whose whole value is a reference, like PGPASSWORD=secret://domain/managed/db-password, gets
the value it stands for: all of them or none. When one does not resolve, nothing is started and the
exit code is 6; otherwise it is the command's own, 128 + n when a signal n ended it.
Needs USE of each secret, which a member has, and RESOLVE in the domain:
  strongroom domain member add service-account:DOMAIN/NAME --domain DOMAIN
  strongroom grant add service-account:DOMAIN/NAME RESOLVE --domain DOMAIN`,
    )
    .action(
      cli.action(async (session, command: string[], options: RunOptions) => {
        const variables = await collectVariables(session.io, {
          files: options.envFile ?? [],
          single: options.env ?? [],
        });
        return run(session, command, variables, options);
      }),
    );
}

async function run(
  session: Session,
  [program, ...args]: readonly string[],
  variables: Variables,
  { domain, redact }: RunOptions,
): Promise<number> {
  if (program === undefined || program === '')
    throw new UsageError('there is no command', 'Write it after --: strongroom run -d finance -- ./report');
  const { io, output } = session;
  const names = Object.keys(variables.references);
  if (names.length === 0) {
    output.note('no variable holds a reference; the command runs as it is');
    return runChild(io, output, { program, args, environment: variables.plain });
  }
  const client = await session.connect();
  // Their libraries cost time that commands without values need not spend.
  const workload = await import('@strongroom/sdk/workload');
  const references = names.map((name) => ({ name, reference: variables.references[name] ?? '' }));
  const delivered = await receive(workload, client, domain, references);
  const stopHeartbeat = workload.startHeartbeat(client, delivered);
  try {
    return await runChild(io, output, {
      program,
      args,
      environment: variables.plain,
      values: delivered,
      isRedacted: redact,
    });
  } finally {
    stopHeartbeat();
    delivered.destroy();
    // The child is over; that nobody could be told changes nothing about it.
    await workload.endLaunch(client, delivered.launch).catch((error: unknown) => {
      if (!(error instanceof StrongroomError)) throw error;
      output.note(`the end of the launch could not be reported: ${error.message}`);
    });
  }
}

type Workload = typeof WorkloadModule;

async function receive(
  workload: Workload,
  client: Client,
  domain: string,
  references: readonly WantedReference[],
): Promise<DeliveredValues> {
  try {
    const launch = await workload.openLaunch(client, { domain, references });
    return await launch.resolve();
  } catch (error) {
    throw withVariableNames(
      error,
      references.map(({ name }) => name),
    );
  }
}

/** The server names references by their place in the request; here they are variables. */
function withVariableNames(error: unknown, names: readonly string[]): unknown {
  if (!(error instanceof StrongroomError) || error.errors === undefined) return error;
  const errors = error.errors.map((field) => {
    const name = names[Number(/^\/references\/(\d+)(?:\/|$)/.exec(field.pointer)?.[1] ?? Number.NaN)];
    if (name === undefined) return field;
    const message = field.message.startsWith(`${name}: `) ? field.message.slice(name.length + 2) : field.message;
    return { ...field, pointer: name, message };
  });
  const isNamed = errors.some(({ pointer }) => names.includes(pointer));
  // A request that isn't valid because of a reference is a reference that doesn't resolve.
  const code = error.code === 'validation_failed' && isNamed ? 'reference_malformed' : error.code;
  return new ServerError(code, {
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(code === error.code ? { hint: error.hint } : {}),
    errors,
    ...(error instanceof ServerError && error.requestId !== undefined ? { requestId: error.requestId } : {}),
  });
}
