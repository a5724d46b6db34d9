import { type CallResult, checkServerAddress, StrongroomError } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli, Session } from '../cli.ts';
import { clientFor, findConnection } from '../connection.ts';
import { UsageError } from '../errors.ts';
import { readStdin, utf8Text } from '../input.ts';
import { type Io, isInteractive } from '../io.ts';
import { localTime } from '../output/text.ts';
import { readProfile, removeProfile, writeProfile } from '../profile.ts';
import { ask, askHidden } from '../prompt.ts';

export function addSignInCommands(program: Command, cli: Cli): void {
  addLoginCommand(program, cli);
  program
    .command('logout')
    .description('end the session and forget it')
    .action(
      cli.action(async ({ io, output }) => {
        const ended = await endSession(io);
        await removeProfile(io);
        output.answer({ signedOut: true, sessionEnded: ended }, () => output.line('signed out'));
        if (!ended) output.note('there was no session to end at the server');
        return undefined;
      }),
    );
  program
    .command('whoami')
    .description('show who is signed in, with roles and domains')
    .action(
      cli.action(async (session) => {
        const me = await (await session.connect()).showMe();
        const { url, tokenFrom } = await findConnection(session.io);
        session.output.answer(me, () => printMe(session, me, `${url}, by ${tokenFrom}`));
        return undefined;
      }),
    );
}

interface LoginOptions {
  readonly link?: string | true;
  readonly user?: string;
  readonly url?: string;
}

const maxTypedBytes = 4096;

function addLoginCommand(program: Command, cli: Cli): void {
  program
    .command('login')
    .description('sign in, and keep the session for the next commands')
    .option('--link [link]', 'by a one-time sign-in link or its code; asks for it, or reads stdin, when left out')
    .option('--user <name>', 'by name and password; asks for the password, or reads it from stdin')
    .option('--url <url>', 'the server; STRONGROOM_URL, or the one of the link, when left out')
    .addHelpText(
      'after',
      '\nnpm start prints a sign-in link; an administrator makes one with strongroom user link NAME.\nA program signs in with STRONGROOM_TOKEN or STRONGROOM_TOKEN_FILE instead, and needs no login.',
    )
    .action(
      cli.action(async (session, options: LoginOptions) => {
        const { io, output } = session;
        const isByToken = (io.env['STRONGROOM_TOKEN'] ?? '') !== '' || (io.env['STRONGROOM_TOKEN_FILE'] ?? '') !== '';
        if (isByToken) return checkToken(session, options);
        if (options.link !== undefined && options.user !== undefined)
          throw new UsageError('give one of --link and --user');
        const signedIn =
          options.user === undefined ? await byLink(io, options) : await byPassword(io, options.user, options);
        const { token, expiresAt, principal } = signedIn.answer;
        if (token === undefined) throw new StrongroomError('internal', { detail: 'The server sent no session token.' });
        await writeProfile(io, { url: signedIn.url, token, expiresAt, name: principal.name });
        output.answer({ principal, url: signedIn.url, expiresAt }, () =>
          output.line(`signed in to ${signedIn.url} as ${principal.name}, until ${localTime(expiresAt)}`),
        );
        return undefined;
      }),
    );
}

/** A token in the environment wins over a session, so one isn't made. */
async function checkToken(session: Session, options: LoginOptions): Promise<undefined> {
  const { io, output } = session;
  if (options.link !== undefined || options.user !== undefined) {
    throw new UsageError('STRONGROOM_TOKEN is set and wins over a session', 'Unset it to sign in otherwise.');
  }
  const connection = await findConnection(io);
  const me = await clientFor(connection).showMe();
  output.answer(me, () => printMe(session, me, `${connection.url}, by ${connection.tokenFrom}`));
  output.note(`${connection.tokenFrom} is used as it is; nothing was kept`);
  return undefined;
}

interface NewSession {
  readonly url: string;
  readonly answer: CallResult<'signInWithLink'>;
}

async function byLink(io: Io, options: LoginOptions): Promise<NewSession> {
  const given = typeof options.link === 'string' ? options.link : await readOne(io, 'sign-in link or code', ask);
  const { origin, token } = parseLink(given.trim());
  const url = await serverUrl(io, options, origin);
  const answer = await clientFor({ url, token: undefined }).signInWithLink({ body: { token, transport: 'bearer' } });
  return { url, answer };
}

async function byPassword(io: Io, name: string, options: LoginOptions): Promise<NewSession> {
  const url = await serverUrl(io, options, undefined);
  const password = await readOne(io, `password of ${name}`, askHidden);
  const answer = await clientFor({ url, token: undefined }).signInWithPassword({
    body: { name, password, transport: 'bearer' },
  });
  return { url, answer };
}

async function serverUrl(io: Io, options: LoginOptions, origin: string | undefined): Promise<string> {
  if (options.url !== undefined) return checkServerAddress(options.url);
  if ((io.env['STRONGROOM_URL'] ?? '') === '' && origin !== undefined) return checkServerAddress(origin);
  return (await findConnection(io)).url;
}

/** The token of a link is its fragment, which no browser sends; a code alone is taken as it is. */
function parseLink(text: string): { readonly origin: string | undefined; readonly token: string } {
  const hash = text.indexOf('#');
  const token = hash === -1 ? text : text.slice(hash + 1);
  const address = hash === -1 ? undefined : text.slice(0, hash);
  if (token === '' || /[\s/?#]/.test(token)) {
    throw new UsageError('that is no sign-in link', 'Paste the whole link, or what follows the # in it.');
  }
  const origin = address !== undefined && URL.canParse(address) ? new URL(address).origin : undefined;
  return { origin, token };
}

/**
 * From a prompt, or one line of stdin; the newline of that line belongs to nothing.
 * @param prompt a link is seen where it is pasted: it works once, and a part of one would not be noticed
 */
async function readOne(io: Io, what: string, prompt: typeof ask): Promise<string> {
  if (isInteractive(io)) {
    const typed = await prompt(io, `${what}: `);
    if (typed === '') throw new UsageError(`no ${what} was given`);
    return typed;
  }
  const text = utf8Text(await readStdin(io, maxTypedBytes))?.replace(/\r?\n$/, '') ?? '';
  if (text === '') throw new UsageError(`no ${what} was given`, 'Type it on a terminal, or pipe it in.');
  return text;
}

async function endSession(io: Io): Promise<boolean> {
  let profile;
  try {
    profile = await readProfile(io, true);
  } catch (error) {
    // Whatever is wrong with it, it is about to be removed.
    if (error instanceof UsageError) return false;
    throw error;
  }
  if (profile === undefined) return false;
  try {
    await clientFor(profile).signOut();
    return true;
  } catch (error) {
    if (error instanceof StrongroomError && error.code === 'unauthenticated') return false;
    throw error;
  }
}

function printMe({ output }: Session, me: CallResult<'showMe'>, where: string): void {
  output.facts({
    name: me.principal.name,
    kind: me.principal.kind,
    id: me.principal.id,
    server: where,
    roles: me.roles.length === 0 ? '-' : me.roles.join(', '),
    groups: me.groups.length === 0 ? undefined : me.groups.map(({ name }) => name).join(', '),
  });
  if (me.domains.length === 0) return;
  output.line();
  output.table(
    [{ title: 'DOMAIN' }, { title: 'AS' }, { title: 'PERMISSIONS', canWrap: true, isOptional: true }],
    me.domains.map((domain) => [domain.name, domain.presets.join(', ') || '-', domain.permissions.join(', ')]),
  );
  if (me.hasMoreDomains) output.note('there are more domains: strongroom domain list');
}
