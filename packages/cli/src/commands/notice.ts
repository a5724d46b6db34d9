import { type CallResult, StrongroomError } from '@strongroom/sdk';
import { type Command, Option } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { exitCode } from '../exit-codes.ts';
import { addLimitOption, type ListOptions, listUpTo, pageSize, parseCount } from '../lists.ts';
import { localTime } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { addScopeOptions, routeIn, scopeOf, type ScopeOptions } from '../scope.ts';
import { collect } from '../values.ts';

type Settings = CallResult<'showDomainNoticeSettings'>;
type Notice = CallResult<'listDomainNotices'>['items'][number];

export function addNoticeCommands(program: Command, cli: Cli): void {
  const notice = group(
    program,
    'notice',
    'who is told, by mail and webhook, when secrets expire or are due for rotation',
  );
  addScopeOptions(notice.command('show').description('show who is told in a scope')).action(
    cli.action(async ({ connect, output }, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const client = await connect();
      try {
        const found = await client[routeIn(scope, 'show', 'NoticeSettings')]({ params: scope.params });
        output.answer(found, () => printSettings(output, found));
      } catch (error) {
        if (error instanceof StrongroomError && error.code === 'not_configured') output.answer(null, () => undefined);
        throw error;
      }
      return undefined;
    }),
  );
  addSetCommand(notice, cli);
  addScopeOptions(notice.command('delete').description('tell nobody in a scope any more'))
    .option('-y, --yes', "don't ask")
    .action(
      cli.action(async ({ io, connect, output }, options: ScopeOptions & { readonly yes?: true }) => {
        const scope = scopeOf(options);
        const client = await connect();
        const { revision } = await client[routeIn(scope, 'show', 'NoticeSettings')]({ params: scope.params });
        if (options.yes !== true) await confirm(io, `tell nobody in ${scope.title} any more?`);
        await client[routeIn(scope, 'delete', 'NoticeSettings')]({ params: scope.params, ifMatch: revision });
        output.answer({ deleted: true }, () => output.line(`nobody is told in ${scope.title} any more`));
        return undefined;
      }),
    );
  addScopeOptions(
    notice.command('test').description('send a test to everybody who is told; exit code 7 when one does not arrive'),
  ).action(
    cli.action(async ({ connect, output }, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const tested = await (await connect())[routeIn(scope, 'test', 'NoticeSettings')]({ params: scope.params });
      output.answer(tested, () =>
        output.table(
          [{ title: 'TO' }, { title: 'OUTCOME' }, { title: 'MESSAGE', canWrap: true, isOptional: true }],
          tested.steps.map(({ name, outcome, message }) => [name, outcome, message ?? '']),
        ),
      );
      return tested.ok ? undefined : exitCode.check;
    }),
  );
  addListCommand(notice, cli);
}

interface SetOptions extends ScopeOptions {
  readonly mail?: readonly string[];
  readonly webhook?: string;
  readonly webhookSecret?: string;
  readonly signingSecret?: string;
  readonly expiryLeadDays?: number;
}

function addSetCommand(notice: Command, cli: Cli): void {
  addScopeOptions(notice.command('set').description('say who is told in a scope, in place of what was said before'))
    .option('--mail <address>', 'this address gets mail, may be repeated', collect)
    .option('--webhook <url>', 'this address gets a POST, signed as Standard Webhooks describe')
    .addOption(
      new Option('--webhook-secret <reference>', 'the address that a secret holds, as of chat services').conflicts(
        'webhook',
      ),
    )
    .option('--signing-secret <reference>', 'what the webhook is signed with: 24 bytes or more, or whsec_ and base64')
    .option('--expiry-lead-days <days>', 'how long before an expiry; 14 when left out', parseCount)
    .action(
      cli.action(async ({ connect, output }, options: SetOptions) => {
        const scope = scopeOf(options);
        const { mail, webhook: url, webhookSecret: urlSecret, signingSecret, expiryLeadDays } = options;
        const isCalled = url !== undefined || urlSecret !== undefined;
        if (isCalled !== (signingSecret !== undefined))
          throw new UsageError(
            'a webhook and its signing secret go together',
            'Add --signing-secret, and --webhook or --webhook-secret.',
          );
        if (mail === undefined && !isCalled)
          throw new UsageError('nobody is named', 'Add --mail or --webhook; notice delete tells nobody any more.');
        const webhook = { ...(url === undefined ? {} : { url }), ...(urlSecret === undefined ? {} : { urlSecret }) };
        const put = await (
          await connect()
        )[routeIn(scope, 'put', 'NoticeSettings')]({
          params: scope.params,
          body: {
            ...(mail === undefined ? {} : { recipients: [...mail] }),
            ...(signingSecret === undefined ? {} : { webhook: { ...webhook, signingSecret } }),
            ...(expiryLeadDays === undefined ? {} : { expiryLeadDays }),
          },
        });
        output.answer(put, () => printSettings(output, put));
        output.note(`try it: strongroom notice test ${scope.flags}`);
        return undefined;
      }),
    );
}

function addListCommand(notice: Command, cli: Cli): void {
  addLimitOption(
    addScopeOptions(
      notice.command('list').description('list what was told in a scope, newest first, and whether it arrived'),
    ),
  ).action(
    cli.action(async ({ connect, output }, options: ScopeOptions & ListOptions) => {
      const scope = scopeOf(options);
      const input = { params: scope.params, query: { limit: pageSize(options.limit) } };
      const items: readonly Notice[] = await listUpTo(
        await connect(),
        output,
        routeIn(scope, 'list', 'Notices'),
        input,
        options.limit,
      );
      output.answer({ items }, () => {
        if (items.length === 0) output.note(`nothing was told in ${scope.title}`);
        else printNotices(output, items);
      });
      return undefined;
    }),
  );
}

function printSettings(output: Cli['output'], settings: Settings): void {
  output.facts({
    scope: settings.domain === undefined ? settings.scope : `domain ${settings.domain}`,
    mail: settings.recipients.length === 0 ? undefined : settings.recipients.join(', '),
    webhook: settings.webhook?.url ?? settings.webhook?.urlSecret,
    'signed with': settings.webhook?.signingSecret,
    'before an expiry': `${settings.expiryLeadDays} days`,
    updated: `${localTime(settings.updatedAt)} by ${settings.updatedBy}`,
    revision: `${settings.revision}`,
  });
}

function printNotices(output: Cli['output'], notices: readonly Notice[]): void {
  output.table(
    [
      { title: 'KEY' },
      { title: 'WHAT' },
      { title: 'DUE' },
      { title: 'TO' },
      { title: 'STATE' },
      { title: 'TRIED' },
      { title: 'PROBLEM', canWrap: true, isOptional: true },
    ],
    notices.flatMap(({ key, kind, dueAt, deliveries }) =>
      deliveries.map(({ channel, to, state, attempts, problem }) => [
        key,
        kind,
        localTime(dueAt),
        to ?? channel,
        state,
        `${attempts}`,
        problem ?? '',
      ]),
    ),
  );
}
