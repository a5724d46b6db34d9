import { errorTable } from '@strongroom/contract';
import { ServerError, StrongroomError } from '@strongroom/sdk';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { Cancelled, CheckFailed, UsageError } from './errors.ts';
import { reportError } from './error-report.ts';
import { exitCodeOfError } from './exit-codes.ts';
import { Output } from './output/output.ts';
import { scriptIo } from './testing/script-io.ts';

function report(error: unknown, options: { verbose?: boolean } = {}): { code: number; stderr: string } {
  const io = scriptIo({ env: {}, cwd: '/' });
  const code = reportError(error, new Output(io, options));
  expect(io.stdout.text).toBe('');
  return { code, stderr: io.stderr.text };
}

describe('exit codes', () => {
  it('has one for every code of the error table', () => {
    expect(Object.keys(exitCodeOfError).toSorted()).toEqual(Object.keys(errorTable).toSorted());
    for (const code of Object.values(exitCodeOfError)) expect([1, 2, 3, 4, 5, 6]).toContain(code);
  });

  it.each([
    ['unauthenticated', 3],
    ['credentials_invalid', 3],
    ['not_found', 4],
    ['permission_missing', 4],
    ['already_exists', 5],
    ['revision_mismatch', 5],
    ['reference_unresolved', 6],
    ['launch_refused', 6],
    ['validation_failed', 2],
    ['internal', 1],
    ['server_unreachable', 1],
  ] as const)('%s is %i', (code, expected) => {
    expect(report(new StrongroomError(code)).code).toBe(expected);
  });

  it('follows the status of the table where the table has a family', () => {
    const families: Readonly<Record<number, number>> = { 401: 3, 404: 4, 409: 5, 412: 5, 500: 1, 502: 1, 503: 1 };
    const odd = Object.entries(errorTable).filter(([code, { status }]) => {
      const expected = families[status];
      return expected !== undefined && exitCodeOfError[code as keyof typeof errorTable] !== expected;
    });
    expect(odd).toEqual([]);
  });

  it('is 7 for a check, 1 for a no, 130 for Ctrl-C', () => {
    expect(report(new CheckFailed('it is not whole')).code).toBe(7);
    expect(report(new Cancelled('declined')).code).toBe(1);
    expect(report(new Cancelled('interrupted')).code).toBe(130);
  });
});

describe('what is said', () => {
  it('names the line above where the API names its detail, and does not say the title twice', () => {
    expect(report(new StrongroomError('key_clash', { detail: 'a clashes with A.' })).stderr).toBe(
      'strongroom: the key clashes with another key: a clashes with A.\nhint: Keys are unique after case folding; the line above names the other key.\n',
    );
    const twice = new StrongroomError('reference_malformed', { detail: 'The reference is not valid: it has no key.' });
    expect(report(twice).stderr).toMatch(/^strongroom: the reference is not valid: it has no key\.$/m);
  });

  it('is title, detail, hint, then a line for each field', () => {
    const error = new ServerError('launch_refused', {
      detail: '1 of 2 references do not resolve.',
      errors: [{ pointer: '/a', message: 'A: not there', fixableBy: ['MANAGE_SECRETS in finance'] }],
      requestId: 'req_1',
    });
    expect(report(error).stderr).toBe(
      [
        'strongroom: the launch was refused: 1 of 2 references do not resolve.',
        'hint: The lines below name each field, reference, cause and who can fix it.',
        '  /a: A: not there (can be fixed by MANAGE_SECRETS in finance)',
        '',
      ].join('\n'),
    );
    expect(report(error, { verbose: true }).stderr).toContain('\nrequest id: req_1\n');
  });

  it('shows control characters of others, and obeys none', () => {
    const { stderr } = report(new ServerError('state_conflict', { detail: 'a\u001b[2Jb\r\nstrongroom: c\u202ed' }));
    expect(stderr).toBe(
      'strongroom: the current state does not allow this: a\\u{1b}[2Jb\\u{d}\\u{a}strongroom: c\\u{202e}d\nhint: The line above says which state it is in.\n',
    );
  });

  it('says of a fault only what kind it is, and where with --verbose', () => {
    const fault = new TypeError('canary-3d');
    expect(report(fault)).toEqual({
      code: 1,
      stderr: 'strongroom: something went wrong on our side: TypeError\nhint: Repeat it with --verbose to see where.\n',
    });
    const { stderr } = report(fault, { verbose: true });
    expect(stderr).toContain('error-report.test.ts');
    expect(stderr).not.toContain('canary-3d');
  });

  it('says what is wrong with a command, lower-case and with a hint', () => {
    expect(report(new UsageError('no scope is named', 'Add --global.')).stderr).toBe(
      'strongroom: wrong usage: no scope is named\nhint: Add --global.\n',
    );
  });

  it.each([
    ["error: unknown option '--pasword=canary-3d'", "unknown option '--pasword…'"],
    ["error: unknown option '-canary-3d'", "unknown option '…'"],
    ["error: unknown option '--domian'\n(Did you mean --domain?)", "unknown option '--domian'; did you mean --domain?"],
    ["error: unknown command 'secrt'\n(Did you mean secret?)", "unknown command 'secrt'; did you mean secret?"],
    ["error: unknown command 'Canary-3d'", "unknown command '…'"],
    [
      "error: too many arguments for 'create'. Expected 1 argument but got 2: key, canary-3d.",
      "too many arguments for 'create'. Expected 1 argument but got 2",
    ],
    [
      "error: option '--limit <n>' argument 'canary-3d' is invalid. It is a number from 1.",
      "option '--limit <n>' is not valid: It is a number from 1.",
    ],
    [
      "error: command-argument value 'canary-3d' is invalid for argument 'shell'. Allowed choices are bash.",
      "argument 'shell' is not valid: Allowed choices are bash.",
    ],
  ])('does not repeat what may be a value: %j', (message, shown) => {
    const { code, stderr } = report(new CommanderError(1, 'commander.some', message));
    expect(code).toBe(2);
    expect(stderr).toBe(`strongroom: wrong usage: ${shown}\nhint: Add --help to see what the command takes.\n`);
    expect(stderr).not.toMatch(/canary-3d/i);
  });
});
