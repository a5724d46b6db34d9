import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { createEgress } from '@strongroom/backends/egress';
import { startRawServer } from '@strongroom/backends/testing/servers.ts';
import { afterAll, describe, expect, it } from 'vitest';
import { MailFailure, sendMail } from './send.ts';

describe('a mail server', () => {
  const egress = createEgress({ allow: [], allowLoopback: true });
  afterAll(() => egress.close());

  /** How a message ends over a connection that is served like this. */
  async function outcomeOf(
    serve: (socket: Socket) => void,
    security: 'none' | 'starttls' = 'none',
    milliseconds = 60_000,
  ): Promise<string> {
    await using server = await startRawServer(serve);
    const { port } = server;
    const settings = { host: '127.0.0.1', port, security, senderAddress: 'strongroom@example.org' };
    const message = { to: 'ann@example.org', subject: 'A', text: 'B' };
    const signal = AbortSignal.timeout(milliseconds);
    const failure: unknown = await sendMail(egress, settings, undefined, message, signal).catch((error) => error);
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('SERVER TEXT');
    return failure instanceof MailFailure ? `${failure.step} ${failure.reason}` : String(failure);
  }
  const forEver = (text: string) => (socket: Socket) => {
    const piece = Buffer.from(text.repeat(Math.ceil(65_536 / text.length)));
    const goOn = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.write('220 here\r\n');
    socket.on('drain', goOn).once('data', goOn);
  };

  it.each([
    ['a line', 'SERVER TEXT '],
    ['an answer of lines', '250-SERVER TEXT\r\n'],
  ])('that says %s without end is cut off', async (_what, text) => {
    expect(await outcomeOf(forEver(text))).toBe('connect malformed');
  });

  it('that says nothing, or a byte now and then, ends with the deadline', async () => {
    expect(await outcomeOf(() => undefined, 'none', 100)).toBe('connect deadline');
    const slow = (socket: Socket): void => {
      const timer = setInterval(() => socket.write('2'), 20);
      socket.on('close', () => clearInterval(timer));
    };
    expect(await outcomeOf(slow, 'none', 100)).toBe('connect deadline');
    // STARTTLS is granted, and then nothing.
    const granting = (socket: Socket): void => {
      socket.write('220 here\r\n');
      socket.on('data', (said) => {
        if (/EHLO/.test(String(said))) socket.write('250 STARTTLS\r\n');
        else if (/STARTTLS/.test(String(said))) socket.write('220 go ahead\r\n');
      });
    };
    expect(await outcomeOf(granting, 'starttls', 150)).toMatch(/deadline$/);
  });
});
