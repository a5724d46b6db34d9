import type { PlatformRole } from '@strongroom/contract/roles';
import { type CallResult, StrongroomError } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { isInteractive } from '../io.ts';
import { count, localTime } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { roleOption } from '../role-option.ts';
import type { Scope } from '../scope.ts';

export type Impact = CallResult<'showDomainSecretImpact'>;

export interface AgreedOption {
  readonly yes?: true;
}

export interface EndOption {
  readonly change: 'delete' | 'disable' | 'revoke';
  readonly role?: readonly PlatformRole[];
}

/** What would be done to somebody; `revoke` is of platform roles. */
export function withEndOptions(command: Command, changes: readonly EndOption['change'][]): Command {
  command.addOption(new Option('--change <change>', 'what would be done').choices([...changes]).default('delete'));
  if (!changes.includes('revoke')) return command;
  return command.addOption(roleOption('with --change revoke: a platform role that stays, may be repeated; else none'));
}

/** @throws UsageError for roles of somebody who goes */
export function endQuery<const Change extends EndOption['change']>(change: Change, role: EndOption['role']) {
  if (role === undefined) return { change };
  if (change !== 'revoke') throw new UsageError('--role goes with --change revoke');
  return { change, roles: role.join(',') };
}

/** Asked before somebody has these roles and no others; nothing where roles stay as they are. */
export async function agreeToRoles(
  session: Session,
  roles: readonly PlatformRole[] | undefined,
  read: (query: { readonly change: 'revoke'; readonly roles: string }) => Promise<Impact>,
  whose: string,
  yes: true | undefined,
): Promise<void> {
  if (roles === undefined || yes === true) return;
  const impact = await read({ change: 'revoke', roles: roles.join(',') });
  const change = roles.length === 0 ? `take all roles from ${whose}` : `leave ${whose} ${roles.join(', ')} alone`;
  await agreeToImpact(session, impact, change, yes);
}

/** Domains that one question names at most, as the API has it. */
const maxKeptDomains = 200;

/** What an assignment of something of Global would hit, with the domains that go on using it. @throws UsageError for too many */
export function keptDomains(domains: readonly string[]): { readonly domains: string } {
  if (domains.length > maxKeptDomains)
    throw new UsageError(`what it hits is told for ${maxKeptDomains} domains at most`, 'Add --yes to do it unseen.');
  return { domains: domains.join(',') };
}

/** @throws UsageError where `--to` says what stays although nothing is taken away, or in another scope than the global one */
export function requireGlobalRevoke(scope: Scope, change: string, to: readonly string[] | undefined): boolean {
  if (change !== 'revoke') {
    if (to !== undefined) throw new UsageError('--to goes with --change revoke');
    return false;
  }
  if (scope.kind !== 'global') throw new UsageError('only what is in the global scope is assigned to domains');
  return true;
}

/** Whether the change would be noticed by anybody. */
export function isHit(impact: Impact): boolean {
  return counted(impact).some(([number]) => number > 0);
}

/** What is hit of each kind, also what may not be seen, with its word and that for several. */
function counted({ configurations, workloads, platform, launchers = [], contents, hidden }: Impact) {
  return [
    [configurations.length + hidden.configurations, 'configuration'],
    [workloads.length + hidden.workloads, 'running workload'],
    [platform.length + hidden.platform, 'setting of the platform', 'settings of the platform'],
    [launchers.length + hidden.launchers, 'program that gets values itself', 'programs that get values themselves'],
    [contents?.secrets ?? 0, 'secret'],
    [contents?.integrations ?? 0, 'integration'],
    [contents?.serviceAccounts ?? 0, 'service account'],
  ] as const;
}

/** `3 fields, 2 configurations in 1 domain, 1 running workload`: what is hit, also what may not be seen. */
export function impactText(impact: Impact): string {
  const words = counted(impact).flatMap(([number, word, several]) =>
    number === 0 ? [] : [several === undefined ? count(number, word) : count(number, word, several)],
  );
  return words.length === 0 ? 'nothing' : `${words.join(', ')}${placesText(impact)}`;
}

/** ` in 3 domains and of the platform`; empty for one place. */
function placesText({ domains }: Impact): string {
  if (domains.length < 2) return '';
  const own = domains.filter(({ domain }) => domain !== 'admin');
  return ` in ${count(own.length, 'domain')}${own.length < domains.length ? ' and of the platform' : ''}`;
}

/** What the change means for what is named. */
function effectText({ effect, workloads, hidden }: Impact): string {
  return effect === 'workloads-outdated' && workloads.length + hidden.workloads === 0
    ? 'nothing of it runs; the next launch or use gets the new value'
    : effects[effect];
}

const effects = {
  'launches-fail': 'the next launch of what is named fails; what runs keeps what it got',
  'launches-may-fail':
    'the next launch of what is named fails unless the same keys are there; what runs keeps what it got',
  'workloads-outdated': 'what runs keeps the old value until it is started anew: strongroom drift redeploy --help',
} as const;

/** What would be hit, as a table for each kind; nothing of it where nothing is. */
export function printImpact(output: Cli['output'], impact: Impact): void {
  const { configurations, workloads, platform, launchers = [], recipients = [], hidden, isComplete, refusal } = impact;
  if (configurations.length > 0)
    output.table(
      [
        { title: 'DOMAIN' },
        { title: 'SURFACE' },
        { title: 'CONFIGURATION' },
        { title: 'RUNNING' },
        { title: 'BECAUSE', canWrap: true },
      ],
      configurations.flatMap((each) => {
        const named = [each.domain, each.surface, each.configuration, `${each.running}`];
        return reasonsOf(each).map((reason) => [...named, reason]);
      }),
    );
  if (workloads.length > 0) {
    if (configurations.length > 0) output.line();
    output.table(
      [
        { title: 'DOMAIN' },
        { title: 'CONFIGURATION' },
        { title: 'LAUNCH' },
        { title: 'STATE' },
        { title: 'HOLDS' },
        { title: 'BY', canCut: true },
        { title: 'SINCE' },
      ],
      workloads.map((each) => [
        each.domain,
        each.configuration ?? '-',
        each.launch,
        each.state,
        each.names.join(', '),
        each.subject,
        localTime(each.startedAt),
      ]),
    );
  }
  for (const { kind, name, reference } of platform) output.line(`${kind} ${name} refers to ${reference}`);
  for (const { principal, domain, launches, lastAt } of launchers)
    output.line(
      `${principal} gets values in ${domain} itself: ${count(launches, 'launch', 'launches')}, last ${localTime(lastAt)}`,
    );
  for (const { scope, address } of recipients)
    output.line(`the notices of ${scope} go to ${address}, and go on doing so`);
  const unseen = [
    ...(hidden.configurations > 0 ? [count(hidden.configurations, 'configuration')] : []),
    ...(hidden.workloads > 0 ? [count(hidden.workloads, 'running workload')] : []),
    ...(hidden.platform > 0 ? [count(hidden.platform, 'setting of the platform', 'settings of the platform')] : []),
    ...(hidden.launchers > 0
      ? [count(hidden.launchers, 'program that gets values itself', 'programs that get values themselves')]
      : []),
  ];
  if (unseen.length > 0) output.note(`and ${unseen.join(', ')} that you may not see`);
  if (!isComplete) output.note('there is more than is shown');
  if (isHit(impact)) output.note(effectText(impact));
  if (refusal !== undefined) output.note(`it would be refused: ${refusal.detail}`);
}

function reasonsOf({ fields, via = [], losses = [] }: Impact['configurations'][number]): string[] {
  const reasons = [
    ...losses.map(({ principal, permission, on }) => `${principal} loses ${permission} on ${on}`),
    ...(losses.length > 0 ? [] : fields.map(({ name, reference }) => `${name}: ${reference}`)),
    ...via.map((name) => `it uses ${name}`),
  ];
  return reasons.length === 0 ? ['-'] : reasons;
}

/** Answers with it, for the commands that only ask. */
export function answerImpact(output: Cli['output'], impact: Impact): void {
  output.answer(impact, () => {
    if (!isHit(impact)) output.note('nothing you may see would notice');
    printImpact(output, impact);
  });
}

/**
 * Shows what a change would hit, and asks whether it is meant. Nothing is asked where nothing is hit.
 * @param change in the imperative: `remove grant gnt_…`
 * @throws Cancelled when it is declined; UsageError where nobody can be asked and `--yes` is not given
 */
export async function agreeToImpact(
  { io, output }: Session,
  impact: Impact,
  change: string,
  yes: true | undefined,
): Promise<void> {
  if (yes === true || !isHit(impact)) return;
  if (!isInteractive(io))
    throw new UsageError(`this would hit ${impactText(impact)}, and there is no terminal to ask on`, 'Add --yes.');
  if (!output.isJson) printImpact(output, impact);
  await confirm(io, `this hits ${impactText(impact)}; ${change}?`);
}

/**
 * The same for what is never done unasked: where nothing is hit, whether it is meant is asked all the same.
 * @throws Cancelled when it is declined; UsageError where nobody can be asked and `--yes` is not given
 */
export async function agreeToEnd(
  { io, output }: Session,
  read: () => Promise<Impact>,
  change: string,
  yes: true | undefined,
): Promise<void> {
  if (yes === true) return;
  const impact = await read();
  if (!isInteractive(io)) throw unasked(impact, `to ${change}`, 'Add --yes.');
  if (!output.isJson) printImpact(output, impact);
  await confirm(io, isHit(impact) ? `this hits ${impactText(impact)}; ${change}?` : `${change}?`);
}

/** Nobody can be asked: what would have been asked about is in the refusal. @param doing `deleting` */
export function unasked(impact: Impact, doing: string, hint: string): UsageError {
  const hit = isHit(impact) ? `it hits ${impactText(impact)}, and ` : '';
  return new UsageError(`${doing} needs an answer: ${hit}there is no terminal to ask on`, hint);
}

/** Of what is not there, or not to be seen, nothing is known: the change itself says so. */
export async function impactIfThere(impact: Promise<Impact>): Promise<Impact | undefined> {
  try {
    return await impact;
  } catch (error) {
    if (error instanceof StrongroomError && error.code === 'not_found') return undefined;
    throw error;
  }
}
