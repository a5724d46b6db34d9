import type { Command } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { type DomainOption, requireDomain } from '../domain-option.ts';
import { isInteractive } from '../io.ts';
import { addListOptions, type ListOptions, pageSize } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { confirm, confirmByTyping } from '../prompt.ts';
import type { ConfigurationNoun, Shown } from './configuration-noun.ts';
import { answerImpact, impactText, isHit, printImpact } from './impact.ts';

type Output = Cli['output'];

/** `list`, `show` and `delete` of one kind of configurations. */
export function addConfigurationCommands<One extends Shown>(
  group: Command,
  cli: Cli,
  noun: ConfigurationNoun<One>,
  print: (output: Output, found: One) => void,
): void {
  const { word } = noun;
  addListOptions(requireDomain(group.command('list').description(`list the ${word}s of a domain`))).action(
    cli.action(async ({ connect, output }, options: DomainOption & ListOptions) => {
      const query = { limit: pageSize(options.limit), ...(options.search === undefined ? {} : { q: options.search }) };
      const input = { params: { domain: options.domain }, query };
      const items = await noun.list(await connect(), output, input, options.limit);
      output.answer({ items }, () =>
        output.list(
          `no ${word} in ${options.domain}`,
          [
            { title: 'NAME' },
            { title: 'REFERENCES' },
            { title: 'BUNDLE' },
            { title: 'STATE' },
            { title: 'UPDATED' },
            { title: 'BY', canCut: true },
          ],
          items.map((each) => [
            each.name,
            `${each.references}`,
            each.bundle,
            each.suspended ? 'suspended' : 'ready',
            localTime(each.updatedAt),
            each.updatedBy,
          ]),
        ),
      );
      return undefined;
    }),
  );
  requireDomain(
    group.command(`show <${word}>`).description(`show a ${word}: plain values and references, no secret`),
  ).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      const found = await noun.show(await connect(), domain, name);
      output.answer(found, () => {
        print(output, found);
        for (const warning of found.warnings) output.note(`${warning.pointer}: ${warning.message}`);
      });
      return undefined;
    }),
  );
  addImpact(group, cli, noun);
  addDelete(group, cli, noun);
}

function addImpact(group: Command, cli: Cli, { word, impact }: ConfigurationNoun): void {
  if (impact === undefined) return;
  requireDomain(
    group
      .command(`impact <${word}>`)
      .description(`show what deleting a ${word} would hit: what uses it; changes nothing`),
  ).action(
    cli.action(async ({ connect, output }, name: string, { domain }: DomainOption) => {
      answerImpact(output, await impact(await connect(), domain, name));
      return undefined;
    }),
  );
}

interface DeleteOptions extends DomainOption {
  readonly yes?: true;
  readonly force?: true;
}

/** Shows what uses it, and asks. Answers whether that is no obstacle. @throws Cancelled, UsageError */
async function agreeToDelete(
  { io, connect, output }: Session,
  { word, impact: read }: ConfigurationNoun,
  name: string,
  { domain, force }: DeleteOptions,
): Promise<boolean> {
  const question = `delete the ${word} ${name} in ${domain}?`;
  const impact = isInteractive(io) ? await read?.(await connect(), domain, name) : undefined;
  if (impact === undefined || !isHit(impact)) {
    await confirm(io, question);
    return force === true;
  }
  if (!output.isJson) printImpact(output, impact);
  if (force === true) await confirm(io, `this hits ${impactText(impact)}; ${question}`);
  else await confirmByTyping(io, `deleting the ${word} ${name} in ${domain} hits ${impactText(impact)}`, name);
  return true;
}

function addDelete(group: Command, cli: Cli, noun: ConfigurationNoun): void {
  const { word, launch, canBeRestored } = noun;
  const what =
    canBeRestored === true
      ? '; restore brings it back, and purge ends it with its secrets'
      : launch === undefined
        ? ' and the secrets that it owns'
        : '; its runs and their logs stay';
  const command = requireDomain(group.command(`delete <${word}>`).description(`delete a ${word}${what}`)).option(
    '-y, --yes',
    "don't ask",
  );
  // What is launched is used by nobody.
  if (launch === undefined) command.option('--force', 'although others use it');
  command.action(
    cli.action(async (session, name: string, options: DeleteOptions) => {
      const { domain, yes, force } = options;
      const { output } = session;
      const client = await session.connect();
      const { revision } = await noun.show(client, domain, name);
      const isForced = yes === true ? force === true : await agreeToDelete(session, noun, name, options);
      await noun.delete(client, domain, name, revision, isForced);
      output.answer({ name, deleted: true }, () => output.line(`deleted ${word} ${name} in ${domain}`));
      return undefined;
    }),
  );
}

interface ReferenceParts {
  readonly scope: string;
  readonly source?: string;
  readonly key: string;
  readonly field?: string;
}

/** A plain value, or a reference as people read it: the canonical form, percent-encoded, is in --json's parts. */
export function contentOf(value: string | undefined, secret: ReferenceParts | undefined): string {
  if (secret === undefined) return value ?? '';
  const { scope, source = 'managed', key, field } = secret;
  return `secret://${scope}/${source}/${key}${field === undefined ? '' : `#${field}`}`;
}

/** What a credential field holds: a reference, or a text with placeholders as it was written. */
export interface CredentialFacts {
  readonly isSet: boolean;
  readonly placeholder?: string;
  readonly secret?: ReferenceParts;
  readonly isOwned?: boolean;
}

export function credentialText({ isSet, isOwned, secret, placeholder }: CredentialFacts): string {
  return isSet ? `${contentOf(placeholder, secret)}${isOwned === true ? ' (its own)' : ''}` : '-';
}

/** Facts that every configuration has after its own. */
export function lastFacts(found: {
  readonly bundle: string;
  readonly managedBy?: string;
  readonly suspended: boolean;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly revision: number;
}) {
  return {
    bundle: found.bundle,
    'managed by': found.managedBy,
    state: found.suspended ? 'suspended' : 'ready',
    updated: `${localTime(found.updatedAt)} by ${found.updatedBy}`,
    revision: `${found.revision}`,
  };
}

/** Rows of what a configuration holds, when there are any. */
export function printFields(output: Output, rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  output.line();
  output.table(
    [{ title: 'IN' }, { title: 'NAME' }, { title: 'VALUE', canWrap: true }],
    rows.map((row) => [...row]),
  );
}
