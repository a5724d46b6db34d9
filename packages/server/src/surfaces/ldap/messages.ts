import { MessageRefusal } from '../whole-messages.ts';

/** Messages of a directory, whole and checked before anything is made of them (RFC 4511 §4 and §5.1). */

/** One entry or result: a group with as many members as there may be users. */
const maxMessageBytes = 16 * 1024 * 1024;
/** Parts of one result; each becomes an object. */
const maxElements = 1_000_000;
/** Over one connection: pages of a search, and what is answered beside them. */
const maxResults = 10_000;

/**
 * Cuts what comes over a connection into messages, each once and whole, however it comes: who collects a long one piece by
 * piece copies it with every piece. A message is given on when each of its parts is where it belongs; a parser that believes
 * a length that is not true may go on for ever.
 */
export class MessageReader {
  /** The beginning of a header. */
  #begun: Buffer = Buffer.alloc(0);
  #message: Buffer | null = null;
  #filledBytes = 0;
  #elements = 0;
  #results = 0;

  /** Whether nothing of a message has come yet. */
  get isBetween(): boolean {
    return this.#message === null && this.#begun.length === 0;
  }

  /** @throws MessageRefusal */
  *take(piece: Buffer): Generator<Buffer> {
    let rest = this.#begun.length === 0 ? piece : Buffer.concat([this.#begun, piece]);
    this.#begun = Buffer.alloc(0);
    while (rest.length > 0) {
      if (this.#message === null) {
        const length = messageBytes(rest);
        if (length === null) {
          this.#begun = Buffer.from(rest);
          return;
        }
        if (length > maxMessageBytes) throw new MessageRefusal('truncated');
        if (length <= rest.length) {
          const whole = rest.subarray(0, length);
          rest = rest.subarray(length);
          this.#check(whole);
          yield whole;
          continue;
        }
        this.#message = Buffer.allocUnsafeSlow(length);
        this.#filledBytes = 0;
      }
      const copied = rest.copy(this.#message, this.#filledBytes);
      this.#filledBytes += copied;
      rest = rest.subarray(copied);
      if (this.#filledBytes < this.#message.length) return;
      const message = this.#message;
      this.#message = null;
      this.#check(message);
      yield message;
    }
  }

  #check(message: Buffer): void {
    const walk = new Walk(message, maxElements - this.#elements);
    walk.check(0, message.length, messageParts);
    this.#elements += walk.elements;
    if (walk.hasEntry) return;
    this.#elements = 0;
    this.#results += 1;
    if (this.#results > maxResults) throw new MessageRefusal('truncated');
  }
}

/** Of a whole message with its header; `null`: its header is not whole yet. */
function messageBytes(bytes: Buffer): number | null {
  if (bytes[0] !== sequence) throw new MessageRefusal('malformed');
  const [, first] = bytes;
  if (first === undefined) return null;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw new MessageRefusal('malformed');
  return bytes.length < 2 + count ? null : 2 + count + bytes.readUIntBE(2, count);
}

interface Shape {
  readonly tag: number;
  readonly times: 'once' | 'perhaps' | 'any';
  /** What is in it, in this order; absent: bytes. */
  readonly parts?: readonly Part[];
  readonly maxBytes?: number;
}

/** A list: one of these. */
type Part = Shape | readonly Shape[];

const [integer, octets, enumerated, sequence, set] = [0x02, 0x04, 0x0a, 0x30, 0x31];
const entryTag = 0x64;
const referenceTag = 0x73;
const timesOf =
  (times: Shape['times']) =>
  (tag: number, parts?: readonly Part[]): Shape => ({ tag, times, ...(parts === undefined ? {} : { parts }) });
const [once, perhaps, any] = [timesOf('once'), timesOf('perhaps'), timesOf('any')];
const number = (tag: number): Shape => ({ tag, times: 'once', maxBytes: 4 });

/** LDAPResult: code, matched name, message, referral. */
const result = [number(enumerated), once(octets), once(octets), perhaps(0xa3)];
const attribute = any(sequence, [once(octets), once(set, [any(octets)])]);
const control = any(sequence, [once(octets), perhaps(0x01), perhaps(octets)]);

const operations: readonly Shape[] = [
  // BindResponse
  once(0x61, [...result, perhaps(0x87)]),
  once(entryTag, [once(octets), once(sequence, [attribute])]),
  // SearchResultDone
  once(0x65, result),
  once(referenceTag, [any(octets)]),
  // ExtendedResponse
  once(0x78, [...result, perhaps(0x8a), perhaps(0x8b)]),
];
const messageParts = [once(sequence, [number(integer), operations, perhaps(0xa0, [control])])];

class Walk {
  readonly #bytes: Buffer;
  readonly #maxElements: number;
  /** Where the content of what was looked at last begins and ends. */
  #from = 0;
  #to = 0;
  elements = 0;
  hasEntry = false;

  constructor(bytes: Buffer, max: number) {
    this.#bytes = bytes;
    this.#maxElements = max;
  }

  /** @throws MessageRefusal unless exactly these parts fill the place */
  check(start: number, end: number, parts: readonly Part[]): void {
    let at = start;
    for (const part of parts) {
      const shape = 'tag' in part ? part : part.find(({ tag }) => tag === this.#bytes[at]);
      if (shape === undefined) throw new MessageRefusal('malformed');
      const first = at;
      while (at < end && this.#bytes[at] === shape.tag && (shape.times === 'any' || at === first))
        at = this.#checkOne(at, end, shape);
      if (shape.times === 'once' && at === first) throw new MessageRefusal('malformed');
    }
    if (at !== end) throw new MessageRefusal('malformed');
  }

  /** @returns where the next one begins */
  #checkOne(at: number, end: number, { tag, parts, maxBytes = Number.POSITIVE_INFINITY }: Shape): number {
    this.#open(at, end);
    const [from, to] = [this.#from, this.#to];
    if (to - from > maxBytes) throw new MessageRefusal('malformed');
    if (parts !== undefined) this.check(from, to, parts);
    this.hasEntry ||= tag === entryTag || tag === referenceTag;
    return to;
  }

  /** Reads a header. */
  #open(at: number, end: number): void {
    this.elements += 1;
    if (this.elements > this.#maxElements) throw new MessageRefusal('truncated');
    const first = this.#bytes[at + 1] ?? 0x80;
    const count = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || count > 4 || at + 2 + count > end) throw new MessageRefusal('malformed');
    this.#from = at + 2 + count;
    this.#to = this.#from + (count === 0 ? first : this.#bytes.readUIntBE(at + 2, count));
    if (this.#to > end) throw new MessageRefusal('malformed');
  }
}
