import { createEgress } from '@strongroom/backends/egress';
import { startRawServer } from '@strongroom/backends/testing/servers.ts';
import fc from 'fast-check';
import { MessageParser } from 'ldapts';
import type { Socket } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { adminScope } from '../platform-use.ts';
import { MessageRefusal } from '../whole-messages.ts';
import { ldapSurface } from './definition.ts';
import { type DirectoryConnection, withDirectory } from './directory.ts';
import { LdapFailure } from './failure.ts';
import { MessageReader } from './messages.ts';

describe('a directory', () => {
  const egress = createEgress({ allow: [], allowLoopback: true });
  afterAll(() => egress.close());
  const part = (tag: number, ...content: readonly Uint8Array[]): Buffer => {
    const bytes = Buffer.concat(content);
    const length = Buffer.alloc(5, 0x84);
    length.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([Buffer.from([tag]), length, bytes]);
  };
  const text = (value: string | Buffer): Buffer => part(0x04, Buffer.from(value));
  const message = (id: number, ...content: readonly Uint8Array[]): Buffer =>
    part(0x30, Buffer.from([0x02, 0x01, id]), ...content);
  const result = (tag: number, code = 0): Buffer => part(tag, Buffer.from([0x0a, 0x01, code]), text(''), text(''));
  const entry = (...values: readonly (string | Buffer)[]): Buffer =>
    part(0x64, text('cn=a'), part(0x30, part(0x30, text('cn'), part(0x31, ...values.map(text)))));
  const idOf = (request: Buffer): number => request[request.indexOf(0x02) + 2] ?? 0;

  /** What the users of a directory come to that serves each of its connections like this. */
  async function ask(
    serve: (socket: Socket) => void,
    {
      startTls = false,
      signal = AbortSignal.timeout(60_000),
      maxBytes,
    }: {
      startTls?: boolean;
      signal?: AbortSignal;
      maxBytes?: number;
    } = {},
  ) {
    await using server = await startRawServer(serve);
    const url = `ldap://127.0.0.1:${server.port}`;
    const { document } = ldapSurface.normalise({ url, startTls, baseDn: 'dc=example' }, adminScope);
    const search = (connection: DirectoryConnection) => connection.users();
    return await withDirectory(egress, document, signal, search, maxBytes).catch((error: unknown) => error);
  }
  const answering = (answer: (id: number) => Buffer) => (socket: Socket) =>
    socket.once('data', (request: Buffer) => socket.write(answer(idOf(request))));
  const forEver = (bytes: (id: number) => Buffer) => (socket: Socket) =>
    socket.once('data', (request: Buffer) => {
      const piece = bytes(idOf(request));
      const goOn = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on('drain', goOn);
      goOn();
    });
  const searched = (reason: string) => ({ step: 'search users', reason });
  /** A deadline that comes when the directory has been asked so often, and not while the connection is still made. */
  const deadlineAfter = (questions: number, serve: (socket: Socket) => void) => {
    const deadline = new AbortController();
    let left = questions;
    const counting = (socket: Socket): void => {
      serve(socket);
      socket.on('data', () => {
        left -= 1;
        if (left === 0) deadline.abort(new DOMException('It took too long', 'TimeoutError'));
      });
    };
    return [counting, deadline.signal] as const;
  };

  it('is read however its messages come', async () => {
    const found = { items: [{ name: '', displayName: 'Ann', dn: 'cn=a' }], isPartial: false };
    const answer = (id: number) => Buffer.concat([message(id, entry('Ann')), message(id, result(0x65))]);
    expect(await ask(answering(answer))).toMatchObject(found);
    const byByte = (socket: Socket) =>
      socket.setNoDelay().once('data', (request: Buffer) => {
        const bytes = [...answer(idOf(request))];
        const next = (): void => {
          const byte = bytes.shift();
          if (byte !== undefined) socket.write(Buffer.from([byte]), () => setImmediate(next));
        };
        next();
      });
    expect(await ask(byByte)).toMatchObject(found);
    // Longer than what comes at once, and in a number that a parser should not nest for.
    const last = (id: number): Buffer => message(id, result(0x65));
    const value = 'x'.repeat(1_000_000);
    expect(await ask(answering((id) => Buffer.concat([message(id, entry(value, 'y')), last(id)])))).toMatchObject({
      items: [{ displayName: value }],
    });
    const one = (id: number): Buffer => message(id, entry('a'));
    const many = (id: number): Buffer => Buffer.concat([Buffer.alloc(one(id).length * 5_000, one(id)), last(id)]);
    expect(await ask(answering(many))).toHaveProperty('items.length', 5_000);
  });

  it.each([
    ['an entry of a gigabyte', () => Buffer.from([0x30, 0x84, 0x40, 0, 0, 0, 2, 1, 2, 0x64]), 'truncated'],
    ['what is no LDAP', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'malformed'],
    ['values longer than the entry', (id: number) => message(id, lying(entry('a'), 0x31, 0x7f)), 'malformed'],
    ['attributes longer than the entry', (id: number) => message(id, lying(entry('a'), 0x30, 0x7f)), 'malformed'],
    ['text where attributes are', (id: number) => message(id, part(0x64, text('cn=a'), text('a'))), 'malformed'],
    ['nothing in a message', (id: number) => message(id), 'malformed'],
    ['an operation that nobody asked for', (id: number) => message(id, part(0x63, text('a'))), 'malformed'],
    ['a length without end', () => Buffer.from([0x30, 0x80, 2, 1, 2]), 'malformed'],
  ] as const)('that answers %s ends the search at once', async (_what, answer, reason) => {
    expect(await ask(answering(answer))).toMatchObject(searched(reason));
  });

  it('that answers without end is cut off by its bytes', async () => {
    const endless = forEver((id) => message(id, entry('a'.repeat(1024 * 1024))));
    expect(await ask(endless, { maxBytes: 1024 * 1024 })).toMatchObject(searched('truncated'));
  });

  it('is not read on where it answers too much in few bytes, or results that nobody waits for', () => {
    const empty = Buffer.alloc(400_000, Buffer.from([0x04, 0]));
    const emptied = part(0x64, text('cn=a'), part(0x30, part(0x30, text('cn'), part(0x31, empty))));
    const tiny = Buffer.from([0x30, 0x0c, 2, 1, 99, 0x65, 7, 0x0a, 1, 0, 4, 0, 4, 0]);
    for (const piece of [message(2, emptied), Buffer.alloc(tiny.length * 1_000, tiny)]) {
      const reader = new MessageReader();
      const forEver = (): void => {
        for (let count = 0; count < 1_000; count += 1) Array.from(reader.take(piece));
      };
      expect(forEver).toThrow(new MessageRefusal('truncated'));
    }
  });

  it('is read to its end or not at all, whatever of its answers was changed', () => {
    const control = part(0x30, text('1.2.840.113556.1.4.319'), text(part(0x30, Buffer.from([2, 1, 0]), text('more'))));
    const answers = [
      message(2, entry('Ann', 'Bob'), part(0xa0, control)),
      message(2, part(0x73, text('ldap://other.example.org'))),
      message(2, result(0x65), part(0xa0, control)),
      message(2, result(0x61), part(0xa0, part(0x30, text('1'), Buffer.from([1, 1, 0xff])))),
      message(0, part(0x78, Buffer.from([0x0a, 1, 52]), text(''), text('bye'), part(0x8a, Buffer.from('1.3.6')))),
    ];
    const change = fc.record({ at: fc.nat(120), byte: fc.nat(255), isGone: fc.boolean() });
    let taken = 0;
    fc.assert(
      fc.property(fc.nat(answers.length - 1), fc.array(change, { maxLength: 3 }), (which, changes) => {
        let bytes = Buffer.from(answers[which] ?? []);
        for (const { at, byte, isGone } of changes) {
          const place = at % bytes.length;
          if (isGone) bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)]);
          else bytes[place] = byte;
        }
        const parser = new MessageParser();
        parser.on('error', () => undefined);
        try {
          for (const whole of new MessageReader().take(bytes)) {
            taken += 1;
            parser.read(whole, new Map());
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MessageRefusal);
        }
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it('that says nothing, or a byte now and then, ends with the deadline', async () => {
    for (const serve of [() => undefined, answering(() => Buffer.from([0x30, 0x84]))]) {
      const [counting, signal] = deadlineAfter(1, serve);
      expect(await ask(counting, { signal })).toMatchObject(searched('deadline'));
    }
    const slow = (socket: Socket) => {
      const timer = setInterval(() => socket.write(Buffer.from([0x30])), 20);
      socket.on('close', () => clearInterval(timer));
    };
    expect(await ask(slow, { signal: AbortSignal.timeout(100) })).toBeInstanceOf(LdapFailure);
  });

  it('is not spoken to with StartTLS where TLS does not come about', async () => {
    const tls = (reason: string) => ({ step: 'tls', reason });
    const granted = (id: number) => message(id, result(0x78));
    const asked = { startTls: true };
    const [silent, first] = deadlineAfter(1, () => undefined);
    expect(await ask(silent, { ...asked, signal: first })).toMatchObject(tls('deadline'));
    // Said yes to, and then nothing.
    const [granting, second] = deadlineAfter(2, answering(granted));
    expect(await ask(granting, { ...asked, signal: second })).toMatchObject(tls('deadline'));
    expect(
      await ask(
        answering((id) => message(id, result(0x78, 2))),
        asked,
      ),
    ).toMatchObject(tls('tls-refused'));
    expect(await ask((socket) => socket.end(), asked)).toMatchObject(tls('unreachable'));
    expect(
      await ask(
        forEver(() => Buffer.alloc(65_536, 'a')),
        asked,
      ),
    ).toMatchObject(tls('malformed'));
    // The beginning of an answer that somebody between puts before what TLS protects: a bind that succeeds.
    const bind = message(2, part(0x61, Buffer.from([0x0a, 0x01, 0]), text(''), text(Buffer.alloc(14))));
    for (const injected of [bind, bind.subarray(0, -14)])
      expect(
        await ask(
          answering((id) => Buffer.concat([granted(id), injected])),
          asked,
        ),
      ).toMatchObject(tls('malformed'));
  });

  /** A part that says to be longer than it is. */
  function lying(bytes: Buffer, tag: number, length: number): Buffer {
    const at = bytes.indexOf(Buffer.from([tag, 0x84]));
    bytes.writeUInt32BE(length, at + 2);
    return bytes;
  }
});
