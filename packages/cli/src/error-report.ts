import { type FieldError, ServerError, StrongroomError } from '@strongroom/sdk';
import { errorTable } from '@strongroom/contract/errors';
import { CommanderError } from 'commander';
import { Cancelled, CheckFailed, UsageError } from './errors.ts';
import { exitCode, exitCodeOfError } from './exit-codes.ts';
import type { Output } from './output/output.ts';
import { visible } from './output/text.ts';

/** Says on stderr what went wrong and what to do, and answers the exit code. Only our own errors speak in their own words. */
export function reportError(error: unknown, output: Output): number {
  if (error instanceof StrongroomError) {
    reportStrongroomError(error, output);
    return exitCodeOfError[error.code];
  }
  if (error instanceof CommanderError) return reportCommanderError(error, output);
  if (error instanceof UsageError) {
    report(output, 'wrong usage', error.message, error.hint);
    return exitCode.usage;
  }
  if (error instanceof CheckFailed) {
    report(output, 'refused by the check', error.message, error.hint);
    return exitCode.check;
  }
  if (error instanceof Cancelled) {
    output.error(`strongroom: ${error.message}`);
    return error.exitCode;
  }
  reportFault(error, output);
  return exitCode.fault;
}

function reportStrongroomError(error: StrongroomError, output: Output): void {
  const { title } = errorTable[error.code];
  const fields = error.errors ?? [];
  const said = lowerFirst(title);
  // A detail may begin as the title does, for those who read it alone.
  const detail = error.detail?.startsWith(`${title}: `) === true ? error.detail.slice(title.length + 2) : error.detail;
  report(output, said, detail, hintHere(error.hint, fields.length > 0));
  for (const field of fields) output.error(`  ${visible(fieldLine(field))}`);
  if (error.retryAfterSeconds !== undefined) output.error(`try again in ${error.retryAfterSeconds} s`);
  if (output.isVerbose && error instanceof ServerError && error.requestId !== undefined) {
    output.error(`request id: ${visible(error.requestId)}`);
  }
}

function fieldLine({ pointer, message, fixableBy }: FieldError): string {
  const who = fixableBy === undefined || fixableBy.length === 0 ? '' : ` (can be fixed by ${fixableBy.join(', ')})`;
  return `${pointer === '' ? 'request' : pointer}: ${message}${who}`;
}

function report(output: Output, title: string, detail: string | undefined, hint: string | undefined): void {
  output.error(`strongroom: ${title}${detail === undefined ? '' : `: ${visible(detail)}`}`);
  if (hint !== undefined) output.error(`hint: ${visible(hint)}`);
}

/** The parser's complaints. */
function reportCommanderError(error: CommanderError, output: Output): number {
  // Help and version were asked for and are printed.
  if (error.exitCode === 0) return exitCode.done;
  // A group without a command: its help is printed.
  if (error.code === 'commander.help') return exitCode.usage;
  report(output, 'wrong usage', withoutArguments(error.message), 'Add --help to see what the command takes.');
  return exitCode.usage;
}

/** What was typed may be a value at the wrong place; only what looks like an option or a command is repeated. */
function withoutArguments(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/^(too many arguments.*? but got \d+).*$/s, '$1')
    .replace(/(option '[^']*') argument '.*?' is invalid\. /s, '$1 is not valid: ')
    .replace(/command-argument value '.*?' is invalid for argument '([^']*)'\. /s, "argument '$1' is not valid: ")
    .replace(/^unknown (option|command) '(.*?)'(?=$|\n)/s, (_, what: string, typed: string) => {
      const [word = ''] = typed.split('=', 1);
      const shown = /^-{0,2}[a-z][a-z-]{0,30}$/.test(word) ? word : '';
      return `unknown ${what} '${shown}${shown === typed ? '' : '…'}'`;
    })
    .replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?');
}

/** A fault: its message may quote anything, so only its kind is said, and with --verbose where it was. */
function reportFault(error: unknown, output: Output): void {
  const name = error instanceof Error ? error.name : typeof error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : '';
  report(output, 'something went wrong on our side', `${name}${code}`, 'Repeat it with --verbose to see where.');
  if (!output.isVerbose || !(error instanceof Error)) return;
  for (const frame of (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))) output.error(frame);
}

/** Hints of the API speak of the members `errors[]` and `detail`; here these are the lines around the hint. */
function hintHere(hint: string, hasFields: boolean): string {
  const said = hint.replace(/\b([Tt])he detail (names|says)\b/, '$1he line above $2');
  if (!hasFields) return said;
  return said
    .replace(/^See errors\[\] for /, 'The lines below say ')
    .replace(/^errors\[\] names /, 'The lines below name ');
}

/** Titles are sentences; here they follow a colon. */
function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
