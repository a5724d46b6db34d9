/** A masked range: overlapping matches merge into one, named after the longest (of equals, the first). */
export interface Span {
  start: number;
  end: number;
  name: number;
  /** Bytes of the match that gives the name. */
  nameLength: number;
}

/** Disjoint spans in ascending order. */
export class SpanList {
  readonly spans: Span[] = [];

  /** Adds a match. From one call to the next, starts don't descend or ends don't. */
  add(start: number, end: number, nameLength: number, name: number): void {
    const { spans } = this;
    let last = spans.at(-1);
    if (last === undefined || last.end <= start) {
      spans.push({ start, end, name, nameLength });
      return;
    }
    extend(last, start, end, nameLength, name);
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
  extend(into, other.start, other.end, other.nameLength, other.name);
}

/** Of matches of one length the one that starts first is added first, so a tie leaves the name. */
function extend(span: Span, start: number, end: number, nameLength: number, name: number): void {
  if (start < span.start) span.start = start;
  if (end > span.end) span.end = end;
  if (nameLength <= span.nameLength) return;
  span.name = name;
  span.nameLength = nameLength;
}
