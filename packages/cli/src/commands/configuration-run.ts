import { setTimeout as pause } from 'node:timers/promises';
import { type CallResult, type Client, type ErrorCode, StrongroomError } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { Cancelled } from '../errors.ts';
import { exitCode, exitCodeOfError } from '../exit-codes.ts';
import { addLimitOption, type ListOptions, listUpTo, pageSize } from '../lists.ts';
import { bad, good } from '../output/output.ts';
import { duration, localTime } from '../output/text.ts';
import type { LaunchNoun } from './configuration-noun.ts';

type Run = CallResult<'showRun'>;
type RunSummary = CallResult<'listRuns'>['items'][number];

/**
 * Runs of one kind of configurations.
 * @param verb that starts one: `run` for what ends by itself, `start` for what runs until it is stopped
 */
export function addRunCommands(group: Command, cli: Cli, noun: LaunchNoun, verb: 'run' | 'start' = 'run'): void {
  const { word, launch } = noun;
  requireDomain(group.command(`${verb} <${word}>`).description('start a run'))
    .option('-f, --follow', 'show its log until it ends; the exit code says how it ended')
    .action(
      cli.action(async (session, name: string, options: DomainOption & { readonly follow?: true }) => {
        const { output } = session;
        const { domain, follow } = options;
        const client = await session.connect();
        const started = await launch.run(client, domain, name);
        if (follow === true) {
          output.note(`run ${started.id} of ${name} is ${started.state}`);
          return followRun(session, client, domain, started.id, word);
        }
        output.answer(started, () => output.line(`started run ${started.id} of ${name}`));
        output.note(`to see its log: strongroom ${word} log ${started.id} --domain ${domain} --follow`);
        return undefined;
      }),
    );
  addRunsCommand(group, cli, noun);
  requireDomain(
    group.command('show-run <run>').description('show a run: state, variables, what each reference gave'),
  ).action(
    cli.action(async ({ connect, output }, id: string, { domain }: DomainOption) => {
      const run = await (await connect()).showRun({ params: { domain, id } });
      output.answer(run, () => printRun(output, run));
      return undefined;
    }),
  );
  requireDomain(group.command('log <run>').description('print the log of a run; values are masked'))
    .option('-f, --follow', 'until the run ends')
    .action(
      cli.action(async (session, id: string, options: DomainOption & { readonly follow?: true }) => {
        const client = await session.connect();
        await printLog(session, client, options.domain, id, options.follow === true);
        return undefined;
      }),
    );
  if (verb === 'start') addStop(group, cli, noun);
  else
    requireDomain(
      group.command('stop <run>').description('stop a run: SIGTERM, then SIGKILL ten seconds later'),
    ).action(
      cli.action(async ({ connect, output }, id: string, { domain }: DomainOption) => {
        const stopped = await (await connect()).stopRun({ params: { domain, id } });
        output.answer(stopped, () => output.line(`stopping run ${stopped.id}`));
        return undefined;
      }),
    );
}

/** Of what has one run at most: named by its own name. */
function addStop(group: Command, cli: Cli, noun: LaunchNoun): void {
  const { word } = noun;
  requireDomain(
    group.command(`stop <${word}>`).description(`stop a ${word}: SIGTERM to its run, then SIGKILL ten seconds later`),
  ).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      const client = await connect();
      const { running } = await noun.show(client, domain, name);
      if (running === undefined)
        throw new StrongroomError('state_conflict', { detail: `The ${word} ${name} is not running.` });
      const stopped = await client.stopRun({ params: { domain, id: running.run } });
      output.answer(stopped, () => output.line(`stopping ${word} ${name}, run ${stopped.id}`));
      return undefined;
    }),
  );
}

function addRunsCommand(group: Command, cli: Cli, { word, launch }: LaunchNoun): void {
  addLimitOption(
    requireDomain(
      group.command(`runs [${word}]`).description(`list runs of a ${word}, or of all that is launched, newest first`),
    ),
  ).action(
    cli.action(async ({ connect, output }, name: string | undefined, options: DomainOption & ListOptions) => {
      const { domain, limit } = options;
      const client = await connect();
      const query = { limit: pageSize(limit) };
      const items: RunSummary[] =
        name === undefined
          ? await listUpTo(client, output, 'listRuns', { params: { domain }, query }, limit)
          : [...(await launch.runs(client, output, { params: { domain, name }, query }, limit))];
      output.answer({ items }, () =>
        output.list(
          name === undefined ? `no runs in ${domain}` : `no runs of ${name}`,
          [
            { title: 'RUN' },
            { title: 'CONFIGURATION' },
            { title: 'STATE' },
            { title: 'EXIT' },
            { title: 'CREATED' },
            { title: 'TOOK' },
            { title: 'STARTED BY', canCut: true },
          ],
          items.map((run) => [
            run.id,
            run.job.name,
            run.state,
            exitText(run),
            localTime(run.createdAt),
            run.durationMilliseconds === undefined ? '-' : duration(run.durationMilliseconds),
            run.startedBy,
          ]),
        ),
      );
      return undefined;
    }),
  );
}

/** Shows a run until it ends. Ctrl-C leaves it running and says how to stop it. */
async function followRun(session: Session, client: Client, domain: string, id: string, word: string): Promise<number> {
  const { output } = session;
  try {
    await printLog(session, client, domain, id, true);
  } catch (error) {
    if (error instanceof Cancelled)
      output.note(`the run goes on; to stop it: strongroom ${word} stop ${id} --domain ${domain}`);
    // The log may have been lost on the way, or never begun; the run itself says how it ended.
    if (!(error instanceof StrongroomError)) throw error;
    output.note(`the log can't be followed: ${error.message}`);
  }
  const run = await waitForEnd(client, domain, id);
  output.answer(run, () => printEnd(output, run));
  return exitCodeOfRun(run);
}

const pollMilliseconds = 250;

async function waitForEnd(client: Client, domain: string, id: string): Promise<Run> {
  for (let wait = pollMilliseconds; ; wait = Math.min(wait * 2, 5000)) {
    const run = await client.showRun({ params: { domain, id } });
    if (run.state !== 'queued' && run.state !== 'running') return run;
    await pause(wait);
  }
}

/** With --json the log goes to stderr: stdout is for the document. */
async function printLog(
  session: Session,
  client: Client,
  domain: string,
  id: string,
  isFollowing: boolean,
): Promise<void> {
  const { io, output } = session;
  const stop = new AbortController();
  const unlisten = io.onSignal(() => stop.abort(new Cancelled('interrupted')));
  try {
    const query = isFollowing ? { follow: true } : {};
    const log = await client.showRunLog({ params: { domain, id }, query, signal: stop.signal });
    for await (const chunk of log.chunks) {
      if (isFollowing && output.isJson) io.stderr.write(chunk);
      else await output.bytes(chunk);
    }
  } catch (error) {
    // An aborted stream has an error of its own.
    if (stop.signal.aborted) throw new Cancelled('interrupted');
    throw error;
  } finally {
    unlisten();
  }
}

function printRun(output: Session['output'], run: Run): void {
  output.facts({
    run: run.id,
    configuration: run.job.name,
    state: run.state,
    'started by': run.startedBy,
    runner: run.runner,
    created: localTime(run.createdAt),
    started: localTime(run.startedAt),
    ended: localTime(run.endedAt),
    took: run.durationMilliseconds === undefined ? undefined : duration(run.durationMilliseconds),
    exit: exitText(run),
    failure: run.failure === undefined ? undefined : `${run.failure.code}: ${run.failure.detail}`,
    log: `${run.log.bytes} bytes${run.log.cut ? ', its middle was cut' : ''}`,
  });
  printVariables(output, run);
}

function printEnd(output: Session['output'], run: Run): void {
  printVariables(output, run);
  const took = run.durationMilliseconds === undefined ? '' : ` after ${duration(run.durationMilliseconds)}`;
  const state = run.state === 'succeeded' ? good(run.state) : bad(run.state);
  output.line(`run ${run.id} `, state, `${took}, exit ${exitText(run)}`);
  if (run.failure !== undefined) output.line(`${run.failure.code}: ${run.failure.detail}`);
}

function printVariables(output: Session['output'], run: Run): void {
  if (run.variables.length === 0) return;
  output.line();
  output.table(
    [
      { title: 'NAME' },
      { title: 'REFERENCE', canWrap: true },
      { title: 'SOURCE' },
      { title: 'VERSION' },
      { title: 'OUTCOME' },
      { title: 'TOOK' },
      { title: 'CAUSE', canWrap: true, isOptional: true },
      { title: 'CAN BE FIXED BY', canWrap: true, isOptional: true },
    ],
    run.variables.map((each) => [
      each.name,
      each.reference,
      each.source,
      each.version ?? '-',
      each.outcome,
      duration(each.milliseconds),
      each.cause ?? '',
      (each.fixableBy ?? []).join(', '),
    ]),
  );
  for (const each of run.variables) {
    if (each.unmasked !== undefined) output.note(`the log does not mask ${each.name}: ${each.unmasked}`);
  }
}

function exitText(run: { readonly exitCode?: number; readonly signal?: string }): string {
  if (run.signal !== undefined) return run.signal;
  return run.exitCode === undefined ? '-' : `${run.exitCode}`;
}

function exitCodeOfRun(run: Run): number {
  if (run.state === 'succeeded') return exitCode.done;
  const code = run.failure?.code ?? '';
  const isUnresolved =
    Object.hasOwn(exitCodeOfError, code) && exitCodeOfError[code as ErrorCode] === exitCode.unresolved;
  return isUnresolved ? exitCode.unresolved : exitCode.fault;
}
