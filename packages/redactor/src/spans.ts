/** A masked range: overlapping matches merge into one, named after the longest (of equals, the first). */
export interface Span {
  start: number;
  end: number;
  /** The match that gives the name. */
  name: number;
  nameStart: number;
  nameLength: number;
}

/** Disjoint spans in ascending order. */
export class SpanList {
  readonly spans: Span[] = [];

  /** Adds a match. Ends don't descend from one call to the next. */
  add(start: number, end: number, nameStart: number, nameLength: number, name: number): void {
    const { spans } = this;
    let last = spans.at(-1);
    if (last === undefined || last.end <= start) {
      spans.push({ start, end, name, nameStart, nameLength });
      return;
    }
    absorb(last, { start, end, name, nameStart, nameLength });
    for (let before = spans.at(-2); before !== undefined && before.end > last.start; before = spans.at(-2)) {
      absorb(before, last);
      spans.pop();
      last = before;
    }
  }

  /** The last span takes one more byte. */
  extendLast(): void {
    const last = this.spans.at(-1);
    if (last !== undefined) last.end++;
  }

  /** Positions from now on count from `origin`. */
  shift(origin: number): void {
    for (const span of this.spans) {
      span.start -= origin;
      span.end -= origin;
      span.nameStart -= origin;
    }
  }
}

export function mergeSpans(a: SpanList, b: SpanList): SpanList {
  const merged = new SpanList();
  const { spans } = merged;
  let fromA = 0;
  let fromB = 0;
  while (fromA < a.spans.length || fromB < b.spans.length) {
    const nextA = a.spans[fromA];
    const nextB = b.spans[fromB];
    const takeA = nextB === undefined || (nextA !== undefined && nextA.start <= nextB.start);
    const next = takeA ? nextA : nextB;
    if (takeA) fromA++;
    else fromB++;
    if (next === undefined) continue;
    const last = spans.at(-1);
    if (last !== undefined && last.end > next.start) absorb(last, next);
    else spans.push(next);
  }
  return merged;
}

function absorb(into: Span, other: Span): void {
  into.start = Math.min(into.start, other.start);
  into.end = Math.max(into.end, other.end);
  const isBetter =
    other.nameLength > into.nameLength || (other.nameLength === into.nameLength && other.nameStart < into.nameStart);
  if (!isBetter) return;
  into.name = other.name;
  into.nameStart = other.nameStart;
  into.nameLength = other.nameLength;
}
