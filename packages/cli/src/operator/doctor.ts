import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { CheckFailed } from '../errors.ts';
import { bad, good } from '../output/output.ts';
import { addConfigOption, type ConfigOptions, loadSettings, withServer } from './configuration.ts';

type Report = CallResult<'runDoctor'>;

export function addDoctorCommand(program: Command, cli: Cli): void {
  addConfigOption(program.command('doctor').description('check the installation and say what to mend'))
    .option('--offline', 'look at the data directory of this machine; for a server that does not run')
    .addHelpText('after', '\nThe exit code is 7 when a check is red.')
    .action(
      cli.action(async ({ io, connect, output }, options: ConfigOptions & { readonly offline?: true }) => {
        const report: Report =
          options.offline === true
            ? await withServer((server) => server.examine(loadSettings(server, io, options)))
            : await (await connect()).runDoctor();
        output.answer(report, () => printReport(output, report));
        const red = report.checks.filter(({ status }) => status === 'red').length;
        if (red > 0) throw new CheckFailed(`${red} of ${report.checks.length} checks are red`);
        return undefined;
      }),
    );
}

function printReport(output: Cli['output'], { checks }: Report): void {
  for (const { status, title, finding, hint } of checks) {
    const mark = status === 'ok' ? good('ok   ') : bad(status.padEnd(5));
    output.line(mark, `  ${title}: ${finding}`);
    if (hint !== undefined && status !== 'ok') output.line(`       ${hint}`);
  }
}
