import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditEvent } from './event.ts';
import { createRecordHash, createRecordMac, encodeRecord, escapeText, noPreviousHash } from './record.ts';
import { parseRecord } from './record-content.ts';

/** Any UTF-16, lone surrogates too. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));

const event: AuditEvent = {
  detail: { zebra: 1, apple: true, mango: null, fig: 'x' },
  because: ['preset:MEMBER'],
  outcome: 'denied',
  action: 'secret.use',
  principalName: 'user:ann',
  principal: 'usr_1',
  scope: { name: 'finance', id: 'dom_1' },
  object: { name: 'db-password', type: 'secret', id: 'sec_1' },
  requestId: 'req-1',
};

describe('the bytes of a record', () => {
  it('have one field order, whatever the order of the event', () => {
    expect(encodeRecord(event, Date.UTC(2025, 0, 2)).toString()).toBe(
      '{"v":1,"at":"2025-01-02T00:00:00.000Z","principal":{"id":"usr_1","name":"user:ann"},"action":"secret.use","outcome":"denied",' +
        '"scope":{"id":"dom_1","name":"finance"},"object":{"type":"secret","id":"sec_1","name":"db-password"},"requestId":"req-1",' +
        '"because":["preset:MEMBER"],"detail":{"apple":true,"fig":"x","mango":null,"zebra":1}}',
    );
  });

  it('keep any text as it was, on one line, without a character that acts as layout', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = encodeRecord({ ...event, reference: text, detail: { [`k${text}`]: text } }, 0);
        expect(bytes.toString()).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u);
        expect(parseRecord(bytes)).toMatchObject({ reference: text, detail: { [`k${text}`]: text } });
      }),
    );
  });

  it.each([
    ['a line break', 'a\r\n{"v":1,"action":"forged"}'],
    ['a line separator', 'a\u2028b\u2029c'],
    ['terminal escapes', '\u001b[2J\u009b31m\u007f'],
    ['a turned direction', 'user\u202egnp.exe\u2066\u200f\u061c'],
    ['invisible characters', 'a\u200b\u2060\ufeff\u00adb'],
    ['a lone surrogate', 'a\ud800b'],
    ['NUL', 'a\u0000b'],
  ])('escape %s', (_, text) => {
    const written = encodeRecord({ ...event, principalName: text }, 0).toString();
    expect(written).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(written).principal.name).toBe(text);
  });

  it('cut what is too long and say so', () => {
    const long = 'x'.repeat(5_000);
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`key-${String(index).padStart(3, '0')}`, index]),
    );
    const record = JSON.parse(encodeRecord({ ...event, reference: long, detail: many }, 0).toString());
    expect(record).toMatchObject({ cut: true, reference: 'x'.repeat(2048) });
    expect(Object.keys(record.detail)).toHaveLength(64);
    expect(JSON.parse(encodeRecord(event, 0).toString())).not.toHaveProperty('cut');
  });

  it('take keys of a prototype as names like any other', () => {
    const detail = JSON.parse('{"__proto__": "a", "constructor": "b"}');
    expect(encodeRecord({ ...event, detail }, 0).toString()).toContain('"detail":{"__proto__":"a","constructor":"b"}');
  });
});

function lengthPrefixed(...parts: readonly string[]): Buffer {
  const bytes = parts.map((part) => Buffer.from(part, 'latin1'));
  return Buffer.concat(bytes.flatMap((part) => [Buffer.from([0, 0, 0, part.length]), part]));
}

describe('a hash', () => {
  it('is SHA-256 over the length-prefixed parts, and the MAC over the hash', () => {
    const parts = ['strongroom/audit-record/v1', 'chn_x', '\0\0\0\0\0\0\u0001\u0000', '\0'.repeat(32), 'record'];
    const hash = createRecordHash('chn_x')(256, noPreviousHash, Buffer.from('record'));
    expect(hash).toEqual(
      createHash('sha256')
        .update(lengthPrefixed(...parts))
        .digest(),
    );
    const mac = createRecordMac('ins_1', 'term', Buffer.from('key'))(hash);
    const label = lengthPrefixed('strongroom/audit/v1', 'ins_1', 'installation', hash.toString('latin1'));
    expect(mac).toEqual(createHmac('sha256', 'key').update(label).digest());
  });

  it('differs when any part does', () => {
    const record = Buffer.from('record');
    const hashes = [
      createRecordHash('chn_a')(1, noPreviousHash, record),
      createRecordHash('chn_b')(1, noPreviousHash, record),
      createRecordHash('chn_a')(2, noPreviousHash, record),
      createRecordHash('chn_a')(1, new Uint8Array(32).fill(1), record),
      createRecordHash('chn_a')(1, noPreviousHash, Buffer.from('recorde')),
    ].map((hash) => hash.toString('hex'));
    expect(new Set(hashes).size).toBe(5);
  });
});

describe('reading a record back', () => {
  it.each([
    '',
    'null',
    '[]',
    '{"v":1,"at":"2025-01-01T00:00:00.000Z"}',
    '{"v":1,"at":"x","principal":{"id":"a","name":"b"},"action":"a","outcome":"b"}',
    '{"v":1,"at":"2025-01-01T00:00:00.000Z","principal":"a","action":"a","outcome":"b"}',
    '{"v":1,"at":"2025-01-01T00:00:00.000Z","principal":{"id":"a","name":"b"},"action":"a","outcome":"b","detail":{"a":{}}}',
    '{"v":1,"at":"2025-01-01T00:00:00.000Z","principal":{"id":"a","name":"b"},"action":"a","outcome":"b","genesis":{"heads":[1]}}',
    '{"__proto__":{"at":"2025-01-01T00:00:00.000Z"}}',
  ])('refuses %s', (text) => {
    expect(parseRecord(Buffer.from(text))).toBeNull();
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseRecord(bytes)));
    fc.assert(fc.property(fc.json(), (text) => void parseRecord(Buffer.from(text))));
  });
});

describe('the text of a record', () => {
  const text = fc.oneof(
    anyText,
    fc.string(),
    fc.constantFrom('ann', 'a"b', '\\', '\u2028', '\u007f', 'x'.repeat(2048)),
  );
  const named = fc.record({ id: text, name: text });
  const events = fc.record(
    {
      principal: text,
      principalName: text,
      action: fc.constantFrom('secret.use', 'launch.resolve'),
      outcome: fc.constantFrom('allowed', 'denied', 'failed'),
      scope: named,
      object: fc.record({ type: text, id: text, name: text }),
      requestId: text,
      network: text,
      launch: text,
      reference: text,
      source: text,
      version: text,
      because: fc.array(text, { maxLength: 4 }),
      detail: fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)), { maxKeys: 3 }),
    },
    { requiredKeys: ['principal', 'principalName', 'action', 'outcome'] },
  );

  it('sorts the keys of a detail, those that look like numbers too', () => {
    const detail = { 9: 'b', 10: 'a', '': 'first', '!': 'second', x: 'last' };
    const event: AuditEvent = {
      principal: 'ann',
      principalName: 'ann',
      action: 'secret.use',
      outcome: 'allowed',
      detail,
    };
    const text = encodeRecord(event, 0).toString('utf8');
    expect(text).toContain('"detail":{"":"first","!":"second","10":"a","9":"b","x":"last"}}');
  });

  it('is what JSON says it is, in the fixed order', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 0, max: 4e12 }), (made, now) => {
        const { principal, principalName, action, outcome, scope, object, detail, because, ...rest } =
          made as AuditEvent;
        const { requestId, network, launch, reference, source, version } = rest;
        const expected = JSON.stringify({
          v: 1,
          at: new Date(now).toISOString(),
          principal: { id: principal, name: principalName },
          action,
          outcome,
          scope,
          object,
          requestId,
          network,
          launch,
          reference,
          source,
          version,
          because,
        });
        const bytes = encodeRecord(made, now).toString('utf8');
        // Compared as text: V8's JSON.parse mistakes escaped keys for those of an object that it parsed before.
        const entries = Object.keys(detail ?? {})
          .sort()
          .map((key) => `${JSON.stringify(key)}:${JSON.stringify(detail?.[key])}`);
        const detailText = detail === undefined ? '' : `,"detail":{${entries.join(',')}}`;
        expect(bytes).toBe(escapeText(`${expected.slice(0, -1)}${detailText}}`));
      }),
    );
  });
});
