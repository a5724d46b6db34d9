import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { bad, good } from '../output/output.ts';

interface ExplainOptions {
  readonly principal?: string;
  readonly action: string;
  readonly domain?: string;
  readonly reference?: string;
  readonly asset?: string;
}

export function addExplainCommand(program: Command, cli: Cli): void {
  program
    .command('explain')
    .description('walk the chain that allows or denies something, and say who can change it; reads no value')
    .option('--principal <who>', 'user:NAME, group:NAME or service-account:NAME; you, when left out')
    .requiredOption('--action <action>', 'use, run, view, manage, list, resolve, or an action of the table')
    .option('--reference <reference>', 'secret://domain/managed/KEY and the like')
    .option('--asset <type/name>', 'spark-job/NAME and the like')
    .option('-d, --domain <domain>', 'the domain it is used in')
    .action(
      cli.action(async ({ connect, output }, options: ExplainOptions) => {
        if (options.reference !== undefined && options.asset !== undefined) {
          throw new UsageError('give one of --reference and --asset');
        }
        const found = await (await connect()).explain({ body: options });
        output.answer(found, () => printExplanation(output, found));
        return undefined;
      }),
    );
}

const verdicts = { allow: 'may', deny: 'may not', unknown: 'may or may not' } as const;

function printExplanation(output: Cli['output'], found: CallResult<'explain'>): void {
  const subject = found.subject === null ? '' : ` ${found.subject}`;
  const where = found.domain === null ? '' : ` in ${found.domain}`;
  const may = found.verdict === 'allow' ? good(verdicts.allow) : bad(verdicts[found.verdict]);
  output.line(`${found.principal} `, may, ` ${found.action}${subject}${where}`);
  output.line();
  const hasPlaces = found.links.some(({ at }) => at !== undefined);
  output.table(
    [
      ...(hasPlaces ? [{ title: 'FIELD' }] : []),
      { title: 'LINK' },
      { title: 'NAME' },
      { title: 'OUTCOME' },
      { title: 'DETAIL', canWrap: true },
    ],
    found.links.map(({ at, link, name, outcome, detail }) => [
      ...(hasPlaces ? [at?.field ?? ''] : []),
      link,
      name,
      outcome,
      detail,
    ]),
  );
  const mendable = found.links.filter(({ outcome, fixableBy }) => outcome !== 'allow' && fixableBy.length > 0);
  if (mendable.length > 0) output.line('');
  for (const { link, fixableBy, at } of mendable) {
    const where = at === undefined ? link : `${at.field} ${link}`;
    output.line(`${where} can be changed by ${fixableBy.join(', ')}`);
  }
}
