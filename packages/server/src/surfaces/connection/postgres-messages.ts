import { MessageRefusal } from '../whole-messages.ts';

/**
 * Messages of a PostgreSQL server, whole and checked before anything is made of them (manual, "Message Formats"): those that
 * a session of signing in and one query has.
 */

const maxMessageBytes = 64 * 1024;
const headerBytes = 5;

/** Gives the messages that end with a piece. */
export class PostgresMessages {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws MessageRefusal */
  *take(piece: Buffer): Generator<Buffer> {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    while (this.#rest.length >= headerBytes) {
      const length = 1 + this.#rest.readUInt32BE(1);
      if (length < headerBytes) throw new MessageRefusal('malformed');
      if (length > maxMessageBytes) throw new MessageRefusal('truncated');
      if (length > this.#rest.length) return;
      const message = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      check(message);
      yield message;
    }
  }
}

/** Goes over the content of one message. */
class Content {
  readonly #bytes: Buffer;
  #at = headerBytes;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.skip(1)] ?? 0;
  }

  /** How many of something follow. */
  count(): number {
    const count = this.#bytes.readInt16BE(this.skip(2));
    if (count < 0) throw new MessageRefusal('malformed');
    return count;
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.skip(4));
  }

  /** To its NUL. @returns how long it is without */
  text(): number {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw new MessageRefusal('malformed');
    const length = end - this.#at;
    this.#at = end + 1;
    return length;
  }

  /** @returns where it was */
  skip(count: number): number {
    const at = this.#at;
    if (count < 0 || at + count > this.#bytes.length) throw new MessageRefusal('malformed');
    this.#at += count;
    return at;
  }

  rest(): void {
    this.#at = this.#bytes.length;
  }
}

type Check = (content: Content) => void;

const fields: Check = (content) => {
  while (content.byte() !== 0) content.text();
};
const nothing: Check = () => undefined;
/** Ways to sign in that the library has: none, a password, MD5, SCRAM. */
const authentication: Readonly<Record<number, Check>> = {
  0: nothing,
  3: nothing,
  5: (content) => content.skip(4),
  10: (content) => {
    while (content.text() > 0);
  },
  11: (content) => content.rest(),
  12: (content) => content.rest(),
};

/** By the first byte. */
const checks: Readonly<Record<string, Check>> = {
  // Authentication…
  R: (content) => {
    const way = authentication[content.int32()];
    if (way === undefined) throw new MessageRefusal('malformed');
    way(content);
  },
  // ErrorResponse, NoticeResponse
  E: fields,
  N: fields,
  // ParameterStatus
  S: (content) => {
    content.text();
    content.text();
  },
  // BackendKeyData
  K: (content) => content.skip(8),
  // ReadyForQuery
  Z: (content) => content.skip(1),
  // RowDescription: of each column a name and 18 bytes
  T: (content) => {
    for (let count = content.count(); count > 0; count -= 1) {
      content.text();
      content.skip(18);
    }
  },
  // DataRow: of each column its length, −1 for NULL
  D: (content) => {
    for (let count = content.count(); count > 0; count -= 1) content.skip(Math.max(content.int32(), 0));
  },
  // CommandComplete
  C: (content) => content.text(),
};

function check(message: Buffer): void {
  const content = new Content(message);
  const shape = checks[String.fromCharCode(message[0] ?? 0)];
  if (shape === undefined) throw new MessageRefusal('malformed');
  shape(content);
  if (!content.isAtEnd) throw new MessageRefusal('malformed');
}
