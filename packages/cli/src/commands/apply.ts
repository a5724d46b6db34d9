import type { Command } from 'commander';
import { ApplyStopped, execute } from '../apply/execute.ts';
import type { ObjectKind } from '../apply/kind.ts';
import { objectKinds } from '../apply/kinds/index.ts';
import { type Manifest, readManifests } from '../apply/manifest.ts';
import { makePlan, type ManifestStep, type Step } from '../apply/plan.ts';
import { countText, doingOf, doneItem, doneText, nameOf, placeItem, plannedItem, printPlan } from '../apply/print.ts';
import type { Cli, Session } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import { isInteractive, outliveReader } from '../io.ts';
import { confirm } from '../prompt.ts';

/** What objects are marked with that an apply makes, when nothing else is said. */
export const defaultManager = 'strongroom apply';

/** Options of every apply. */
export interface ApplyOptions {
  readonly domain?: string;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly prune?: true;
  readonly managedBy?: string;
}

interface DirectoryOptions extends ApplyOptions {
  readonly file: string;
}

const help = `
Kinds: ${objectKinds.map(({ kind }) => kind).join(', ')}.
A manifest is the object of the API with kind and domain, and holds references alone. A folder is read with those below
it: every .yaml, .yml and .json. What is needed is made before what needs it. It stops at the first refusal; applying
again does the rest. Exit codes: 0 done, or with --dry-run nothing to do; 7 with --dry-run there is something to do, or
something waits for a value; otherwise that of the refusal.`;

/** `strongroom apply -f`: manifests of every kind. */
export function addApplyCommand(program: Command, cli: Cli): void {
  withApplyOptions(
    program
      .command('apply')
      .description('make everything as a folder of manifests says, after showing what that changes')
      .requiredOption('-f, --file <path>', 'a manifest, YAML or JSON, or a folder of them (- is stdin)')
      .option('-d, --domain <domain>', 'the domain, when a manifest names none'),
  )
    .option('--prune', 'delete what an apply made there and the manifests no longer have')
    .option('--managed-by <name>', `what objects that it makes are marked with (default: ${defaultManager})`)
    .addHelpText('after', help)
    .action(
      cli.action(async (session, options: DirectoryOptions) => {
        const manifests = await readManifests(session.io, options.file, options.domain, objectKinds);
        return applyManifests(session, manifests, objectKinds, options);
      }),
    );
}

export function withApplyOptions(command: Command): Command {
  return command
    .option('--dry-run', 'show what it would change, and change nothing; exit code 7 when there is something')
    .option('-y, --yes', "don't ask");
}

/** Shows what manifests change, asks on a terminal, and does it. */
export async function applyManifests(
  { io, connect, output }: Session,
  manifests: readonly Manifest[],
  kinds: readonly ObjectKind[],
  { domain, dryRun, yes, prune, managedBy = defaultManager }: ApplyOptions,
): Promise<number | undefined> {
  if (managedBy === '') throw new UsageError('--managed-by is empty');
  const client = await connect();
  const refused = (step: ManifestStep): void => (manifests.length > 1 ? sayRefused(output, step) : undefined);
  const prunes = prune === true;
  const steps = await makePlan(client, kinds, manifests, { manager: managedBy, prunes, domain, refused });
  const isSomething = steps.some((step) => doingOf(step) !== 'unchanged');
  if (dryRun === true) {
    if (output.isJson) for (const step of steps) output.item(plannedItem(step), () => undefined);
    else printPlan(output, steps);
    return isSomething ? exitCode.check : undefined;
  }
  // Half of a plan is worse than one that nobody reads.
  const stopListening = outliveReader(io.stdout);
  try {
    if (isSomething && !output.isJson) printPlan(output, steps);
    await requireAssent({ io, steps, yes: yes === true, isShown: !output.isJson });
    return await carryOut(output, steps);
  } finally {
    stopListening();
  }
}

/** @returns the exit code when something waits for a value */
async function carryOut(output: Cli['output'], steps: readonly Step[]): Promise<number | undefined> {
  const waiting: Step[] = [];
  let count = 0;
  try {
    await execute(steps, (step, done) => {
      count += 1;
      if (done.outcome === 'waiting') waiting.push(step);
      output.item(doneItem(step, done), () => output.line(doneText(step, done)));
      if ('applied' in done)
        for (const { pointer, message } of done.applied.warnings ?? [])
          output.note(`${nameOf(step)} ${pointer}: ${message}`);
    });
  } catch (error) {
    if (!(error instanceof ApplyStopped)) throw error;
    sayStopped(output, error, count);
    throw error.cause;
  }
  for (const step of waiting) output.note(`${nameOf(step)} waits for a value; apply again when it has one`);
  return waiting.length > 0 ? exitCode.check : undefined;
}

/** On a terminal it asks; elsewhere the command is the assent, but for deleting. */
async function requireAssent({
  io,
  steps,
  yes,
  isShown,
}: {
  readonly io: Session['io'];
  readonly steps: readonly Step[];
  readonly yes: boolean;
  /** Whether the plan was printed; else the question says how much it is. */
  readonly isShown: boolean;
}): Promise<void> {
  const doing = new Set(steps.map(doingOf));
  doing.delete('unchanged');
  doing.delete('wait');
  if (yes || doing.size === 0) return;
  if (isInteractive(io)) return confirm(io, isShown ? 'apply this plan?' : `apply this: ${countText(steps)}?`);
  if (doing.has('delete'))
    throw new UsageError('the plan deletes, and there is no terminal to ask on', 'Look at --dry-run; then add --yes.');
}

/** Of several manifests which one it is. */
function sayRefused(output: Cli['output'], step: ManifestStep): void {
  if (output.isJson) output.item({ plan: 'refused', ...placeItem(step) }, () => undefined);
  output.note(`refused: ${nameOf(step)}, of ${step.manifest.file}`);
}

function sayStopped(output: Cli['output'], { step, rest }: ApplyStopped, count: number): void {
  const left = rest.filter((each) => doingOf(each) !== 'unchanged');
  if (output.isJson) {
    output.item({ outcome: 'refused', ...placeItem(step) }, () => undefined);
    for (const each of left) output.item({ outcome: 'not-done', ...placeItem(each) }, () => undefined);
  }
  output.note(`stopped at ${nameOf(step)}, after ${count} of ${count + rest.length + 1}; what was done stays`);
  for (const each of left) output.note(`not done: ${nameOf(each)}`);
}
