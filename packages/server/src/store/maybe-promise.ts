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
