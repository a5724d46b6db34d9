/**
 * What is there at once on the embedded store and has to be waited for elsewhere. Waiting for what is there costs a turn of
 * the queue for each `await`, which the hot paths are made of.
 */
export type MaybePromise<Value> = Value | Promise<Value>;

/** Goes on with the value: at once when it is there. */
export function andThen<Value, Result>(
  value: MaybePromise<Value>,
  goOn: (value: Value) => MaybePromise<Result>,
): MaybePromise<Result> {
  return value instanceof Promise ? value.then(goOn) : goOn(value);
}

/** All of the values: at once when all are there. */
export function allOf<Value>(values: readonly MaybePromise<Value>[]): MaybePromise<readonly Value[]> {
  return values.some((value) => value instanceof Promise) ? Promise.all(values) : (values as readonly Value[]);
}

/** The work on each, one after the other: at once while nothing has to be waited for. */
export function forEachInTurn<Item>(
  items: readonly Item[],
  work: (item: Item) => MaybePromise<void>,
  from = 0,
): MaybePromise<void> {
  for (let at = from; at < items.length; at += 1) {
    const done = work(items[at] as Item);
    if (done instanceof Promise) return done.then(() => forEachInTurn(items, work, at + 1));
  }
  return undefined;
}
